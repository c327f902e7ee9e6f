import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../errors.ts';
import { SIGNATURE_WINDOW_MS, type SignatureHeaders, signRequest, verifyRequest } from './http-signature.ts';
import { deriveInternalKeys } from './internal-keys.ts';

const secrets = ['old-secret-old-secret-old-secret', 'new-secret-new-secret-new-secret'] as const;
const [oldKeys, newKeys] = secrets.map((secret) => deriveInternalKeys([secret]).call) as [Keys, Keys];
type Keys = ReturnType<typeof deriveInternalKeys>['call'];

const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH');
const path = fc.webPath({ size: 'small' }).map((text) => text || '/');
const body = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
/** Whenever: from 1970 to the year 5000. */
const nowMs = fc.integer({ min: 0, max: 95_617_584_000_000 });
const request = fc.record({ method, path, body, nowMs });
type Request = { method: string; path: string; body: Buffer; nowMs: number };

/** Why it is refused; undefined when it is accepted. Any error but the one that is 401 fails the test. */
function refusalOf(received: Parameters<typeof verifyRequest>[0]): string | undefined {
  try {
    verifyRequest(received);
    return undefined;
  } catch (error) {
    assert(error instanceof AppError, error as Error);
    assert.deepEqual([error.code, error.status], ['unauthorized', 401]);
    return error.message;
  }
}

test('any request is accepted that was signed with one of two live keys, whichever comes first', () => {
  fc.assert(
    fc.property(request, fc.boolean(), fc.boolean(), (request, isOld, isReversed) => {
      const headers = signRequest({ ...request, keys: isOld ? oldKeys : newKeys });
      const keys = isReversed ? [...oldKeys, ...newKeys] : [...newKeys, ...oldKeys];
      assert.equal(refusalOf({ ...request, headers, keys }), undefined);
      assert.equal(refusalOf({ ...request, headers, keys: isOld ? newKeys : oldKeys }), 'unknown key');
    }),
  );
});

test('any request is accepted within the window, and refused for its time beyond it', () => {
  const offsetMs = fc.oneof(
    fc.integer({ min: -70_000, max: 70_000 }),
    fc.constantFrom(-60_001, -60_000, -1, 0, 1, 59_999, 60_000, 60_001),
    fc.integer({ min: -(10 ** 12), max: 10 ** 12 }),
  );
  fc.assert(
    fc.property(request, offsetMs, (request, offsetMs) => {
      const headers = signRequest({ ...request, keys: newKeys });
      const verifiedMs = request.nowMs + offsetMs;
      const skewMs = Math.floor(request.nowMs / 1000) * 1000 - verifiedMs;
      const refusal = refusalOf({ ...request, headers, keys: newKeys, nowMs: verifiedMs });
      if (Math.abs(skewMs) <= SIGNATURE_WINDOW_MS) assert.equal(refusal, undefined);
      else assert.match(String(refusal), /outside the window/);
    }),
  );
});

type Change = (request: Request, headers: SignatureHeaders) => object;

/** One change to what is received: it always makes a difference. */
const change = fc.oneof<fc.Arbitrary<Change>[]>(
  method.map((other) => (request) => ({ method: other === request.method ? 'HEAD' : other })),
  path.map((other) => (request) => ({ path: other === request.path ? `${other}x` : other })),
  fc.constantFrom('?', '/', '%20', '\n', ' ').map((end) => ({ path }) => ({ path: path + end })),
  fc.constant(({ method }) => ({ method: method.toLowerCase() })),
  body.map((other) => ({ body }) => ({
    body: other.equals(body) ? Buffer.concat([body, Buffer.of(0)]) : other,
  })),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })).map(([at, mask]) => ({ body }) => ({
    body: body.length === 0 ? Buffer.of(mask) : flipped(body, at % body.length, mask),
  })),
  fc.integer({ min: 1, max: 10 ** 11 }).map((s) => (_request, headers) => ({
    headers: {
      ...headers,
      'signature-input': headers['signature-input'].replace(
        /created=(\d+)/,
        (_, created) => `created=${(Number(created) + s) % 10 ** 12}`,
      ),
    },
  })),
  fc
    .tuple(
      fc.constantFrom('signature' as const, 'signature-input', 'content-digest'),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
    )
    .map(([name, at, mask]) => (_request, headers) => {
      const value = Buffer.from(headers[name], 'latin1');
      const other = flipped(value, at % value.length, mask).toString('latin1');
      return { headers: { ...headers, [name]: other } };
    }),
  fc
    .constantFrom('signature' as const, 'signature-input', 'content-digest')
    .map((name) => (_request, headers) => ({ headers: { ...headers, [name]: undefined } })),
);

test('any one change to a signed request is refused', () => {
  fc.assert(
    fc.property(request, change, (request, change) => {
      const headers = signRequest({ ...request, keys: newKeys });
      const received = { ...request, headers, keys: [...newKeys, ...oldKeys] };
      assert.equal(refusalOf(received), undefined);
      assert.notEqual(refusalOf({ ...received, ...change(request, headers) }), undefined);
    }),
    { numRuns: 1_000 },
  );
});

test('any headers that were not signed are refused, and lead to no other error', () => {
  const valid = signRequest({ method: 'POST', path: '/', body: '', keys: newKeys });
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('sig=', '("@method" "@path" "content-digest")', ';created=', '1', ';keyid="', '"', ':'),
    fc.constantFrom(...Object.values(valid)),
  );
  const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
  const value = fc.oneof(text, fc.constant(undefined), fc.array(text, { maxLength: 3 }));
  const headers = fc.record({ signature: value, 'signature-input': value, 'content-digest': value });
  fc.assert(
    fc.property(headers, request, (headers, request) => {
      assert.notEqual(refusalOf({ ...request, path: `${request.path}/`, headers, keys: newKeys }), undefined);
    }),
    { numRuns: 1_000 },
  );
});

function flipped(bytes: Buffer, at: number, mask: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ mask;
  return copy;
}
