import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { anyEvent, minimal } from './event.fixture.ts';
import { expiryMs, INTERNAL_ATTRIBUTES, stripInternal, toEvent } from './event.ts';

function assertRefused(change: object, message: RegExp): void {
  assert.throws(() => toEvent({ ...minimal, ...change }), { code: 'invalid-request', message });
}

describe('toEvent', () => {
  test('returns any valid event as it is', () => {
    fc.assert(fc.property(anyEvent, (event) => assert.deepEqual(toEvent({ ...event }), event)));
  });

  test('refuses what is no object', () => {
    for (const value of [null, undefined, 'x', 1, true, []])
      assert.throws(() => toEvent(value), { code: 'invalid-request', message: /JSON object/ });
  });

  test('takes specversion 1.0 alone', () => {
    for (const specversion of [undefined, null, '0.3', '1.0.2', '1', 1])
      assertRefused({ specversion }, /specversion must be "1.0"/);
  });

  test('names a required attribute that is missing or null', () => {
    for (const name of ['id', 'source', 'type'])
      for (const absent of [undefined, null]) assertRefused({ [name]: absent }, RegExp(`${name} is missing`));
  });

  test('treats an attribute that is null as absent (JSON format, section 2.2)', () => {
    const nulls = { subject: null, time: null, dataschema: null, datacontenttype: null, data_base64: null };
    assert.deepEqual(toEvent({ ...minimal, ...nulls, myextension: null }), minimal);
  });

  test('keeps data that is null (JSON format, section 3.1.1)', () => {
    assert.deepEqual(toEvent({ ...minimal, data: null }), { ...minimal, data: null });
  });

  test('ignores attributes that are undefined', () => {
    const event = { ...minimal, data: 1, data_base64: undefined, subject: undefined, tracestate: undefined };
    assert.equal(JSON.stringify(toEvent(event)), JSON.stringify({ ...minimal, data: 1 }));
  });

  test('takes lower-case letters and digits alone as names, and no name that JSON parsers here refuse', () => {
    for (const name of ['Subject', 'my_ext', 'my-ext', 'é', '', ' ', 'a'.repeat(65), 'constructor'])
      assertRefused({ [name]: 'x' }, /attribute names are/);
    assert.throws(() => toEvent(JSON.parse(JSON.stringify(minimal).replace('{', '{"__proto__":"x",'))), {
      code: 'invalid-request',
    });
    assert.equal(toEvent({ ...minimal, a1: 'x', [`${'a'.repeat(64)}`]: 'x' }).a1, 'x');
  });

  test('takes strings, booleans and integers of 32 bits as extensions, empty strings too', () => {
    const extensions = { a: '', b: 'x', c: true, d: false, e: -(2 ** 31), f: 0, g: 2 ** 31 - 1 };
    assert.deepEqual(toEvent({ ...minimal, ...extensions }), { ...minimal, ...extensions });
    for (const value of [1.5, Number.MAX_VALUE, 2 ** 31, -(2 ** 31) - 1, 4294967296, {}, [], ['x']])
      assertRefused({ ext: value }, /ext must be/);
  });

  test('takes a source that is a URI reference, and a dataschema that is a URI', () => {
    for (const source of ['/a', 'urn:a:b', 'https://a/b#c'])
      assert.equal(toEvent({ ...minimal, source }).source, source);
    for (const source of ['a b', 'é', '%', '1a:b'])
      assertRefused({ source }, /source must be a URI reference/);
    assert.equal(toEvent({ ...minimal, dataschema: 'urn:a:b' }).dataschema, 'urn:a:b');
    for (const dataschema of ['/a', 'a b', 'a']) assertRefused({ dataschema }, /dataschema must be a URI/);
  });

  test('takes non-empty strings alone where the specification or Waybill says so', () => {
    const names = ['id', 'source', 'subject', 'dataschema', 'datacontenttype', ...INTERNAL_ATTRIBUTES];
    for (const name of names.filter((name) => name !== 'hops'))
      for (const value of [true, 7, '', {}]) assertRefused({ [name]: value }, RegExp(`${name} must be`));
  });

  test('takes integers from 0 up alone as hops', () => {
    for (const hops of [0, 33, 2 ** 31 - 1]) assert.equal(toEvent({ ...minimal, hops }).hops, hops);
    for (const hops of [-1, 1.5, 2 ** 31, '1', '', true, {}]) assertRefused({ hops }, /hops must be/);
  });

  test('refuses control characters and halves of surrogate pairs (CloudEvents, type system)', () => {
    for (const name of ['id', 'source', 'subject', 'ext', 'datacontenttype']) {
      for (const code of [0, 0x0a, 0x1f, 0x7f, 0x80, 0x9f])
        assertRefused({ [name]: `a${String.fromCharCode(code)}` }, RegExp(`${name} has a control`));
      for (const character of ['\ufdd0', '\ufdef', '\ufffe', '\uffff', '\u{1fffe}', '\u{10ffff}'])
        assertRefused({ [name]: `a${character}` }, /noncharacter/);
      for (const half of ['\ud83d', '\ude00', '\ude00\ud83d'])
        assertRefused({ [name]: `a${half}` }, RegExp(`${name} has half`));
    }
  });

  test('bounds the id, other attributes, and their number', () => {
    assert.equal(toEvent({ ...minimal, id: 'i'.repeat(128) }).id.length, 128);
    assertRefused({ id: 'i'.repeat(129) }, /id is longer than 128/);
    assert.equal(toEvent({ ...minimal, subject: 's'.repeat(2048) }).subject?.length, 2048);
    assertRefused({ subject: 's'.repeat(2049) }, /subject is longer than 2048/);
    assertRefused({ time: `2026-01-01T00:00:00.${'0'.repeat(2048)}Z` }, /time must be/);
    assertRefused(extensions(61), /at most 64/);
  });

  test('takes what the tiers add to an event with as many attributes as a client may send', () => {
    const texts = Object.fromEntries(INTERNAL_ATTRIBUTES.map((name) => [name, '2026-01-01T00:00:00Z']));
    const internal = { ...texts, hops: 1 };
    assert.equal(Object.keys(toEvent({ ...minimal, ...extensions(60), ...internal })).length, 72);
    assertRefused({ ...extensions(61), ...internal }, /at most 64/);
  });

  test('takes types of the documented form alone', () => {
    for (const type of ['', 'a b', 'a/b', 'ä', 't'.repeat(129), 7, 'a\n']) assertRefused({ type }, /type/);
    assert.equal(toEvent({ ...minimal, type: 'com.example-a_B.1' }).type, 'com.example-a_B.1');
  });

  test('takes RFC 3339 times alone', () => {
    for (const name of ['time', 'expirytime']) {
      for (const time of [
        '2026-01-01T00:00:00Z',
        '2026-12-31t23:59:59.123456789z',
        '2026-01-01T00:00:00-23:59',
      ])
        assert.equal(toEvent({ ...minimal, [name]: time })[name], time);
      const wrong = [
        '',
        '2020-02-30T00:00:00Z',
        '2020-01-01T24:00:00Z',
        '2026-01-01',
        '2026-01-01T00:00:00',
        '2026-13-01T00:00:00Z',
        'Jan 1 2026',
        1,
        true,
      ];
      for (const time of wrong) assertRefused({ [name]: time }, RegExp(`${name} must be an RFC 3339 time`));
    }
  });

  test('takes a leap second as a time, but not as a deadline, which is compared with a clock that has none', () => {
    const time = '1990-12-31T23:59:60Z';
    assert.equal(toEvent({ ...minimal, time }).time, time);
    assertRefused({ expirytime: time }, /expirytime must be/);
  });

  test('takes media types alone as datacontenttype, because it becomes a header', () => {
    for (const datacontenttype of [
      'text/plain',
      'a/b+json',
      'image/svg+xml; charset="utf-8"; a=b',
      'a/b ;c=d',
    ])
      assert.equal(toEvent({ ...minimal, datacontenttype }).datacontenttype, datacontenttype);
    for (const datacontenttype of ['json', '/', 'a/', '/b', 'a/b/c', 'a b/c', 'text/plain; a="€"', 'ä/b'])
      assertRefused({ datacontenttype }, /must be a media type/);
  });

  test('takes padded standard base64 alone as data_base64', () => {
    for (const data_base64 of ['', 'AA==', 'AAA=', 'AAAA', '+/+/'])
      assert.equal(toEvent({ ...minimal, data_base64 }).data_base64, data_base64);
    for (const data_base64 of ['A', 'AA', 'AAA', '-_-_', 'AA==AA==', '====', 'AA =', 'AAAA\n', 1, {}])
      assertRefused({ data_base64 }, /data_base64 must be base64/);
  });

  test('refuses data and data_base64 together', () => {
    assertRefused({ data: 1, data_base64: 'AA==' }, /exclude each other/);
  });
});

test('stripInternal removes what only Waybill sets, and nothing else', () => {
  const internal = Object.fromEntries(INTERNAL_ATTRIBUTES.map((name) => [name, 'x']));
  const event = { ...minimal, mine: 'kept', data: 1 };
  assert.deepEqual(stripInternal({ ...event, ...internal }), event);
});

test('expiryMs is the time of the deadline, and Infinity without one', () => {
  assert.equal(
    expiryMs({ ...minimal, expirytime: '2026-01-01T00:00:00.5+01:00' }),
    Date.UTC(2025, 11, 31, 23, 0, 0, 500),
  );
  assert.equal(expiryMs(minimal), Number.POSITIVE_INFINITY);
});

function extensions(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`x${index}`, 'x']));
}
