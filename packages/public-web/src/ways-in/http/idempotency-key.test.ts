import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { keptUnder, ownerOf } from '../../idempotency/kept-under.ts';
import { fingerprintOf, parseIdempotencyKey } from './idempotency-key.ts';

describe('an Idempotency-Key', () => {
  const keys: [header: string, key: string][] = [
    ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['"a key, with; all \\"kinds\\" of \\\\ characters"', 'a key, with; all "kinds" of \\ characters'],
    ['Zm9v+/==', 'Zm9v+/=='],
    [`"${'k'.repeat(255)}"`, 'k'.repeat(255)],
    ['k'.repeat(255), 'k'.repeat(255)],
  ];
  for (const [header, key] of keys)
    it(`may be ${header.slice(0, 40)}`, () => assert.equal(parseIdempotencyKey(header), key));

  it("is its caller's own, whatever characters both have", () => {
    assert.equal(keptUnder('jwt/alice', '42'), keptUnder('jwt/alice', '42'));
    assert.notEqual(keptUnder('jwt/alice x', '42'), keptUnder('jwt/alice', 'x 42'));
    assert.notEqual(keptUnder(undefined, '42'), keptUnder('', '42'));
    for (const id of ['shop', 'jwt/a "b" \\', '']) assert.equal(ownerOf(keptUnder(id, '["other","42"]')), id);
    assert.equal(ownerOf(keptUnder(undefined, '42')), '');
  });

  const faults = {
    nothing: '',
    'an empty string': '""',
    '256 characters': 'k'.repeat(256),
    '256 characters in quotes': `"${'k'.repeat(256)}"`,
    'a string that does not end': '"key',
    'a quote inside': 'k"ey',
    'a backslash before neither " nor \\': '"k\\ey"',
    'two values': '"a", "b"',
    'two bare values': 'a, b',
    'a value with parameters': '"a";b=1',
    'a space in a bare value': 'a b',
    'a control character': '"a\tb"',
    'what is not ASCII': '"k\u00e9y"',
  };
  for (const [name, header] of Object.entries(faults))
    it(`is not ${name}`, () =>
      assert.throws(() => parseIdempotencyKey(header), {
        code: 'invalid-request',
        message: /Idempotency-Key/,
      }));
});

describe('two requests are the same', () => {
  const base = {
    method: 'POST',
    routeOptions: { url: '/clients/:client/events' },
    params: { client: 'anna' },
    headers: { 'content-type': 'application/json', 'ce-id': 'e1', 'ce-type': 'PingRequest' },
    body: Buffer.from('{}'),
  };
  const fingerprint = (changes: object, key = 'key') => fingerprintOf({ ...base, ...changes }, key);
  const same = fingerprint({});

  const alike = {
    'headers in another order': {
      headers: { 'ce-type': 'PingRequest', 'ce-id': 'e1', 'content-type': 'application/json' },
    },
    'another trace and other preferences': {
      headers: { ...base.headers, 'ce-traceparent': 'x', traceparent: 'x', prefer: 'wait=1' },
    },
  };
  for (const [name, changes] of Object.entries(alike))
    it(`with ${name}`, () => assert.equal(fingerprint(changes), same));

  const others = {
    'another body': { body: Buffer.from('[]') },
    'no body': { body: undefined },
    'another route': { routeOptions: { url: '/' } },
    'another client in the path': { params: { client: 'ben' } },
    'another content type': { headers: { ...base.headers, 'content-type': 'text/json' } },
    'another attribute': { headers: { ...base.headers, 'ce-type': 'Other' } },
    'one attribute more': { headers: { ...base.headers, 'ce-shop': '1' } },
  };
  for (const [name, changes] of Object.entries(others))
    it(`but not with ${name}`, () => assert.notEqual(fingerprint(changes), same));

  it('but nobody sees that they are under another key', () =>
    assert.notEqual(fingerprint({}, 'other'), same));
});
