import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeMessage, EVENT_CONTENT_TYPE, encodeEvent, encodeMessage } from './event-json.ts';
import { parseJson } from './parse-json.ts';

const forward = (json: string, maxKeptNumbers = Number.POSITIVE_INFINITY) =>
  JSON.stringify(parseJson(Buffer.from(json), { maxKeptNumbers }));

/** What no double holds, or not with these digits. */
const INEXACT = [
  '9007199254740993',
  '-9007199254740993',
  '123456789012345678901234567890',
  '1.00000000000000000001',
  '4503599627370496.3',
  '0.1234567890123456789',
  '9007199254740993e-3',
  '1.0000000000000000001E+10',
  '1e-400',
  '-4.9406564584124655e-324',
];

describe('numbers that no double holds', () => {
  for (const number of INEXACT)
    test(`keep their digits: ${number}`, () => {
      for (const json of [number, `[${number}]`, `{"a":${number},"b":[{"c":${number}},1]}`])
        assert.equal(forward(json), json);
      assert.equal(forward(` [ 1 , ${number} ]`), `[1,${number}]`);
    });

  test('are rounded for a tier that does not forward them', () => {
    assert.deepEqual(parseJson(Buffer.from('{"a":9007199254740993}')), { a: 9007199254740992 });
  });

  test('stay text where they stand in a string, whatever is around them', () => {
    for (const text of [': 9007199254740993', '\\', '\\": 9007199254740993,', '"', '[9007199254740993]']) {
      const json = JSON.stringify({ [`${text}a`]: text, b: [text] }).replace('}', ',"c":9007199254740993}');
      assert.equal(forward(json), json);
    }
  });

  test('are bounded in number, for each takes time', () => {
    assert.equal(forward('[1e-400,1e-400]', 2), '[1e-400,1e-400]');
    assert.throws(() => forward('[1e-400,1e-400,1e-400]', 2), {
      code: 'invalid-request',
      message: /more than 2 numbers/,
    });
  });

  test('do not count when a double is just as well', () => {
    const numbers = [
      '1e5',
      '1E-05',
      '0.10',
      '100000000000000000000',
      '-1.5e+300',
      '1.0000000000000000',
      '2e-320',
    ];
    assert.equal(forward(`[${numbers}]`, 0), JSON.stringify(numbers.map(Number)));
  });

  test('pass through events and batches of events', () => {
    const json = '{"specversion":"1.0","id":"e","source":"/s","type":"T","data":{"n":[9007199254740993]}}';
    const message = { contentType: EVENT_CONTENT_TYPE, body: Buffer.from(json) };
    const [event] = decodeMessage(message);
    assert.ok(event);
    const batch = encodeMessage([encodeEvent(event), encodeEvent(event)]);
    assert.equal(String(encodeMessage(decodeMessage(batch).slice(1).map(encodeEvent)).body), json);
    assert.deepEqual(decodeMessage(message, { roundsNumbers: true })[0]?.data, { n: [9007199254740992] });
  });

  test('are no attributes', () => {
    const json = '{"specversion":"1.0","id":"e","source":"/s","type":"T","ext":9007199254740993}';
    const message = { contentType: EVENT_CONTENT_TYPE, body: Buffer.from(json) };
    assert.throws(() => decodeMessage(message), { code: 'invalid-request', message: /ext must be/ });
  });
});

test('any numbers are forwarded as the numbers they are, beside any strings', () => {
  const whole = fc.bigInt().map(String);
  const decimal = fc.tuple(whole, fc.stringMatching(/^\d{1,30}$/)).map(([a, b]) => `${a}.${b}`);
  const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map(String);
  fc.assert(
    fc.property(fc.array(fc.oneof(whole, decimal, double)), fc.array(fc.string()), (numbers, strings) => {
      const forwarded = forward(`[[${numbers}],${JSON.stringify(strings)}]`);
      assert.deepEqual(JSON.parse(forwarded)[1], strings);
      const sent = forwarded.slice(2, forwarded.indexOf(']')).split(',').filter(Boolean);
      assert.deepEqual(sent.map(exactly), numbers.map(exactly));
    }),
  );
});

/** The value of a JSON number: its significant digits and their exponent. */
function exactly(number: string): string {
  const parts = /^(-?\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(number) ?? [];
  const [, whole = '', fraction = '', exponent = '0'] = parts;
  const digits = `${whole}${fraction}`.replace(/^(-?)0+/, '$1').replace(/0+$/, '');
  const dropped = `${whole}${fraction}`.length - `${whole}${fraction}`.replace(/0+$/, '').length;
  return /\d/.test(digits) ? `${digits}e${Number(exponent) - fraction.length + dropped}` : '0';
}
