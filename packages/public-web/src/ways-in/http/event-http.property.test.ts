/** Properties of the HTTP binding's odd corners: header values of every form and length, and the plain shape. */
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import fc from 'fast-check';
import { anyEvent } from '../../../../common/src/event/event.fixture.ts';
import { decodeRequest, encodeResponse } from './event-http.ts';

const BINARY = { 'ce-specversion': '1.0', 'ce-id': 'e-1', 'ce-source': '/test', 'ce-type': 'Test' };

/** What `headers` and `body` make, or the error, which must be the client's fault. */
function decode(headers: IncomingHttpHeaders, body: string | Buffer = ''): CloudEvent | AppError {
  try {
    const { events } = decodeRequest({ headers, body: Buffer.from(body as string) }, '/default');
    return events[0] ?? assert.fail('no event');
  } catch (error) {
    assert(error instanceof AppError && error.status >= 400 && error.status < 500, error as Error);
    return error;
  }
}

test('any event survives the plain shape with its type, its data and the id of the request', () => {
  const headers = { 'content-type': 'application/json' };
  fc.assert(
    fc.property(anyEvent, anyEvent, ({ id }, reply) => {
      const { body } = encodeResponse('plain', reply, id);
      const data = reply.data_base64 === undefined ? reply.data : { base64: reply.data_base64 };
      const expected = { specversion: '1.0', id, source: '/default', type: reply.type, data };
      assert.deepEqual(decode(headers, body), expected);
    }),
  );
});

/** Percent-encodes some of the bytes, with digits in either case; what a header cannot hold always. */
const encodedText = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
        fc.constantFrom('\n', '\r', '\0', '\x7f', '\x9f', '%', '"', '\\', ' ', '€', '😀'),
      ),
      fc.constantFrom('raw' as const, 'upper', 'lower'),
    ),
    { minLength: 1, maxLength: 40 },
  )
  .map((characters) => ({
    text: characters.map(([character]) => character).join(''),
    header: characters.map(([character, how]) => encodeCharacter(character, how)).join(''),
  }));

function encodeCharacter(character: string, how: 'raw' | 'upper' | 'lower'): string {
  if (how === 'raw' && /^[!#$&-[\]-~]$/.test(character)) return character;
  const hex = (byte: number) => `%${byte.toString(16).padStart(2, '0')}`;
  const encoded = [...Buffer.from(character)].map(hex).join('');
  return how === 'lower' ? encoded : encoded.toUpperCase();
}

test('any text survives a header, however much of it is percent-encoded, unless it has control characters', () => {
  fc.assert(
    fc.property(encodedText, ({ text, header }) => {
      const decoded = decode({ ...BINARY, 'ce-subject': header });
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is the point
      if (/[\0-\x1f\x7f-\x9f]|\p{Noncharacter_Code_Point}/u.test(text))
        assert.match(String(decoded), /control character/);
      else assert.equal((decoded as CloudEvent).subject, text);
    }),
    { numRuns: 500 },
  );
});

test('any header value of Latin-1, up to 16 kB and as repetitive as can be, is read or refused', () => {
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
  const part = fc.oneof(
    byte,
    fc.constantFrom('"', '\\', '\\"', '%', '%2', '%E2', ' ', ';', 'a/', '+json', '; charset='),
  );
  const long = fc
    .tuple(fc.array(part, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 16_384 }))
    .map(([parts, length]) => parts.join('').repeat(length).slice(0, length));
  const name = fc.constantFrom(...Object.keys(BINARY), 'ce-subject', 'ce-time', 'ce-x', 'content-type');
  fc.assert(
    fc.property(name, long, fc.constantFrom('', '"'), (name, value, quote) => {
      const decoded = decode({ ...BINARY, [name]: quote + value + quote }, '[1]');
      if (decoded instanceof AppError) assert(decoded.message.length < 20_000);
      else assert(JSON.stringify(decoded).length < 20_000);
    }),
    { numRuns: 1_000 },
  );
});
