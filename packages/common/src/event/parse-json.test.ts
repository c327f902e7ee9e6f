import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nested } from './event.fixture.ts';
import { MAX_JSON_DEPTH, parseJson } from './parse-json.ts';

function assertRefused(body: string | Buffer, message: RegExp): void {
  assert.throws(() => parseJson(Buffer.from(body as string)), { code: 'invalid-request', message });
}

test('parses every JSON value', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4, stringUnit: 'binary' }), (text) => {
      fc.pre(!/__proto__|constructor/.test(text));
      assert.deepEqual(parseJson(Buffer.from(text)), JSON.parse(text));
    }),
  );
});

test('answers any bytes with a value or with invalid-request', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
      try {
        parseJson(Buffer.from(bytes));
      } catch (error) {
        assert.equal((error as { code: string }).code, 'invalid-request');
      }
    }),
  );
});

test('refuses an empty body, and one that is not JSON', () => {
  for (const body of ['', ' ', '{', '{}x', "{'a':1}", 'undefined', 'NaN', '[1,]', '"\n"'])
    assertRefused(body, /not valid JSON/);
});

test('refuses numbers beyond the range of doubles, which would become null', () => {
  for (const number of ['1e400', '-1e400', '[1e309]', '{"limit":1e400}', `1${'0'.repeat(400)}`])
    assertRefused(number, /beyond the range of doubles/);
});

test('refuses invalid UTF-8', () => {
  for (const bytes of [
    [0xff],
    [0xc0, 0xa0],
    [0xed, 0xa0, 0x80],
    [0xe2, 0x82],
    [0xf8, 0x88, 0x80, 0x80, 0x80],
  ])
    assertRefused(Buffer.from([0x22, ...bytes, 0x22]), /not valid UTF-8/);
});

test('refuses a byte order mark (RFC 8259, section 8.1) and UTF-16', () => {
  assertRefused('\ufeff{}', /not valid JSON/);
  assertRefused(Buffer.from('\ufeff{}', 'utf16le'), /not valid UTF-8/);
});

test('takes JSON up to the depth allowed, and refuses one level more', () => {
  for (const maxDepth of [MAX_JSON_DEPTH, 1, 40]) {
    assert.deepEqual(
      parseJson(Buffer.from(JSON.stringify(nested(maxDepth))), { maxDepth }),
      nested(maxDepth),
    );
    assert.throws(() => parseJson(Buffer.from(JSON.stringify(nested(maxDepth + 1))), { maxDepth }), {
      code: 'invalid-request',
      message: RegExp(`deeper than ${maxDepth} levels`),
    });
  }
  assertRefused(JSON.stringify(nested(MAX_JSON_DEPTH + 1)), /deeper than 32 levels/);
  assertRefused(`${'{"a":['.repeat(17)}1${']}'.repeat(17)}`, /deeper than 32 levels/);
});

test('refuses 200,000 levels of arrays or objects without overflowing the stack', () => {
  assertRefused('['.repeat(200_000) + ']'.repeat(200_000), /deeper than/);
  assertRefused(`${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`, /deeper than/);
  assertRefused('['.repeat(200_000), /not valid JSON/);
});

test('refuses members named __proto__ or constructor at any depth, however they are escaped', () => {
  for (const name of [
    '__proto__',
    '\\u005f_proto__',
    '\\u005F\\u005fproto\\u005f\\u005f',
    '\\u005f\\u005f\\u0070roto__',
  ])
    for (const body of [`{"${name}":1}`, `{"a":[{"${name}":{}}]}`, `{"a":1,"${name}":null}`])
      assertRefused(body, /member named __proto__/);
  for (const name of ['constructor', '\\u0063onstructor'])
    assertRefused(`[{"${name}":{"prototype":{"isAdmin":true}}}]`, /member named constructor/);
});

test('takes those words as values, and names that only look like them', () => {
  const value = { a: '__proto__', b: ['constructor'], _proto_: 1, Constructor: 1, prototype: 1, toString: 1 };
  assert.deepEqual(parseJson(Buffer.from(JSON.stringify(value))), value);
});
