import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { redactSecrets } from './redact-secrets.ts';

const CANARY = 'canary"\\,}]';

for (const secret of [
  { password: CANARY },
  { amqp_pass: CANARY },
  { deep: [{ deeper: { headers: { Authorization: CANARY } } }] },
  { headers: { 'set-cookie': [CANARY, `a=${CANARY}`] } },
  { signature: 'canary', next: 1 },
  { password: 123_456, name: 'canary-free' },
])
  test(`replaces the secret in ${JSON.stringify(secret)} and nothing else`, () => {
    const line = redactSecrets(JSON.stringify({ level: 'info', ...secret, msg: 'kept' }));
    const { level, msg } = JSON.parse(line);
    assert.deepEqual({ level, msg }, { level: 'info', msg: 'kept' });
    assert.match(line, /\[redacted\]/);
    assert.doesNotMatch(line.replace('canary-free', ''), /canary|123456/);
  });

for (const url of ['amqp://user:canary@host:5672/vhost', 'amqps://canary@host', 'amqp://user:can@ary@host'])
  test(`replaces the user and password of ${url}, in text too`, () => {
    const line = redactSecrets(JSON.stringify({ err: { message: `no connection to ${url}, giving up` } }));
    assert.match(line, /:\/\/\[redacted\]@host/);
    assert.doesNotMatch(line, /canary|can@ary/);
  });

for (const secret of ['canary', 'canary"\\,}]', '', ['canary'], 123_456])
  test(`replaces ${JSON.stringify(secret)} in JSON within a string, however deep, and nothing else`, () => {
    const nested = (value: unknown, depth: number): string =>
      depth === 0 ? JSON.stringify(value) : JSON.stringify({ body: nested(value, depth - 1), kept: 1 });
    for (const depth of [1, 2, 3]) {
      const body = nested({ user: 'kept', password: secret, next: 'kept' }, depth);
      const line = redactSecrets(JSON.stringify({ msg: body }));
      assert.doesNotMatch(line, /canary|123456/);
      let inner = JSON.parse(JSON.parse(line).msg);
      for (let level = 0; level < depth; level += 1) inner = JSON.parse(inner.body);
      assert.deepEqual(inner, { user: 'kept', password: '[redacted]', next: 'kept' });
    }
  });

test('leaves other lines as they are', () => {
  const line = JSON.stringify({
    msg: 'see http://host/a@b?c=d@e, or mail a@b',
    passwordless: true,
    cookies: 2,
  });
  assert.equal(redactSecrets(line), line);
});

test('keeps any line valid JSON', () => {
  const key = fc.oneof(fc.string(), fc.constantFrom('password', 'cookie', 'set-cookie', 'secret'));
  const value = fc.letrec((tie) => ({
    any: fc.oneof(fc.jsonValue(), fc.dictionary(key, tie('any')), fc.array(tie('any'))),
  })).any;
  fc.assert(fc.property(value, (any) => JSON.parse(redactSecrets(JSON.stringify(any))) !== undefined));
});
