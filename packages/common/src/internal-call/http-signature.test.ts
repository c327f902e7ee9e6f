import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../errors.ts';
import { clockSkewMs, signRequest, verifyRequest } from './http-signature.ts';
import { deriveInternalKeys } from './internal-keys.ts';

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const oldKeys = deriveInternalKeys(['old-secret-old-secret-old-secret']).call;
const newKeys = deriveInternalKeys(['new-secret-new-secret-new-secret']).call;
const request = { method: 'POST', path: '/events', body: '[{"id":"1"}]', nowMs };
const signed = signRequest({ ...request, keys: newKeys });

type Received = Partial<Parameters<typeof verifyRequest>[0]>;

function verify(changes: Received = {}): void {
  verifyRequest({ ...request, headers: signed, keys: newKeys, ...changes });
}

function refusal(changes: Received): AppError {
  try {
    verify(changes);
  } catch (error) {
    assert(error instanceof AppError);
    assert.equal(error.code, 'unauthorized');
    return error;
  }
  return assert.fail('the request was accepted');
}

function assertRefused(changes: Received, message: string): void {
  assert.equal(refusal(changes).message, message);
}

test('signs the signature base of RFC 9421 with the digest of RFC 9530', () => {
  const digest = `sha-256=:${createHash('sha256').update(request.body).digest('base64')}:`;
  const params = `("@method" "@path" "content-digest");created=1767323045;keyid="k1";alg="hmac-sha256"`;
  const base = [
    '"@method": POST',
    '"@path": /events',
    `"content-digest": ${digest}`,
    `"@signature-params": ${params}`,
  ].join('\n');
  const secret = Buffer.alloc(32, 1);
  assert.deepEqual(signRequest({ ...request, keys: [{ kid: 'k1', secret }] }), {
    'content-digest': digest,
    'signature-input': `sig=${params}`,
    signature: `sig=:${createHmac('sha256', secret).update(base).digest('base64')}:`,
  });
});

test('verifies what it signed, whatever the body, as text or bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.webPath({ size: 'small' }), (body, path) => {
      const headers = signRequest({ ...request, body, path, keys: newKeys });
      verify({ headers, body: Buffer.from(body), path });
    }),
  );
});

test('refuses any single-bit flip of the signature', () => {
  const signature = Buffer.from(signed.signature.slice('sig=:'.length, -1), 'base64');
  fc.assert(
    fc.property(fc.nat(255), (bit) => {
      const flipped = Buffer.from(signature);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const headers = { ...signed, signature: `sig=:${flipped.toString('base64')}:` };
      assertRefused({ headers }, 'signature does not match');
    }),
    { numRuns: 256 },
  );
});

test('refuses any single-bit flip of a header as text, even to base64 of the same bytes', () => {
  const names = ['signature', 'signature-input', 'content-digest'] as const;
  for (const name of names) {
    for (let bit = 0; bit < signed[name].length * 8; bit++) {
      const text = Buffer.from(signed[name], 'latin1');
      text[bit >> 3] = (text[bit >> 3] as number) ^ (1 << (bit & 7));
      refusal({ headers: { ...signed, [name]: text.toString('latin1') } });
    }
  }
});

test('refuses another body, path or method', () => {
  assertRefused({ body: '[{"id":"2"}]' }, 'content digest does not match');
  assertRefused({ path: '/dispatch' }, 'signature does not match');
  assertRefused({ path: '/events?x' }, 'signature does not match');
  assertRefused({ method: 'PUT' }, 'signature does not match');
});

test('refuses another body that brings its own digest', () => {
  const body = '[{"id":"2"}]';
  const headers = {
    ...signed,
    'content-digest': signRequest({ ...request, body, keys: oldKeys })['content-digest'],
  };
  assertRefused({ body, headers }, 'signature does not match');
});

test('refuses a request without one of the three headers', () => {
  assertRefused({ headers: {} }, 'signature missing');
  for (const name of Object.keys(signed)) {
    assertRefused({ headers: { ...signed, [name]: undefined } }, 'signature missing');
  }
});

test('refuses every other form or profile of the headers', () => {
  const input = signed['signature-input'];
  const others = [
    ` ${input}`,
    `${input}, other=()`,
    input.replace('sig=', 'sig1='),
    input.replace(';created', '; created'),
    input.replace('created=', 'created=0'),
    input.replace('"@method" "@path"', '"@path" "@method"'),
    input.replace(' "content-digest"', ''),
    input.replace('hmac-sha256', 'ed25519'),
    input.replace(/;created=\d+/, ''),
    input.replace(/(;created=\d+)(;keyid="\w+")/, '$2$1'),
    `${input};expires=9999999999`,
  ];
  for (const other of others) {
    assertRefused({ headers: { ...signed, 'signature-input': other } }, 'signature malformed');
  }
  for (const signature of ['', 'sig=::', `${signed.signature}, ${signed.signature}`, 'sig=:AAAA:']) {
    assertRefused({ headers: { ...signed, signature } }, 'signature malformed');
  }
  const twice = [signed['content-digest'], signed['content-digest']];
  assertRefused({ headers: { ...signed, 'content-digest': twice } }, 'signature malformed');
});

test('during a rotation the new key signs, and both verify', () => {
  const keys = [...newKeys, ...oldKeys];
  assert.deepEqual(signRequest({ ...request, keys }), signed);
  verify({ keys });
  verify({ keys, headers: signRequest({ ...request, keys: oldKeys }) });
  verify({ keys: [...oldKeys, ...newKeys] });
});

test('refuses a foreign key, and a foreign secret under a known kid', () => {
  const [own] = newKeys;
  const [foreign] = oldKeys;
  assert(own && foreign);
  assertRefused({ headers: signRequest({ ...request, keys: oldKeys }) }, 'unknown key');
  const imposter = signRequest({ ...request, keys: [{ kid: own.kid, secret: foreign.secret }] });
  assertRefused({ headers: imposter }, 'signature does not match');
});

test('a key for reply addresses does not verify calls', () => {
  const { replyAddress } = deriveInternalKeys(['new-secret-new-secret-new-secret']);
  assertRefused({ keys: replyAddress }, 'signature does not match');
});

test('accepts a request, even twice, up to 60 s either side of its time', () => {
  verify({ nowMs: nowMs + 60_000 });
  verify({ nowMs: nowMs + 60_000 });
  verify({ nowMs: nowMs - 60_000 });
});

test('refuses a stale request, and says by how much the clocks differ', () => {
  const error = refusal({ nowMs: nowMs + 61_000 });
  assert.equal(
    error.message,
    'signature created at 2026-01-02T03:04:05.000Z is outside the window of 60 s (clocks differ by 61 s)',
  );
  assert.equal(clockSkewMs(error), -61_000);
});

test('refuses a request from the future', () => {
  const error = refusal({ nowMs: nowMs - 3_600_000 });
  assert.match(error.message, /outside the window of 60 s \(clocks differ by 3600 s\)/);
  assert.equal(clockSkewMs(error), 3_600_000);
});

test('says nothing about clocks unless all else is right', () => {
  const late = { nowMs: nowMs + 3_600_000 };
  const headers = signRequest({ ...request, keys: oldKeys });
  for (const changes of [{ headers }, { body: 'other' }, { path: '/' }, { headers: {} }]) {
    assert.equal(clockSkewMs(refusal({ ...changes, ...late })), undefined);
  }
  assert.equal(clockSkewMs(new Error('other')), undefined);
  assert.equal(clockSkewMs(new AppError('unauthorized', 'other')), undefined);
});

test('refuses to sign without a key', () => {
  assert.throws(() => signRequest({ ...request, keys: [] }), { code: 'invalid-config' });
});
