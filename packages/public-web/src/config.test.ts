import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@waybill/common/config.ts';
import { publicWebSettings } from './config.ts';

/** What is made of the value `text` of the setting `name` alone. */
function read<Name extends 'ALLOWED_HOSTS' | 'PUBLIC_EVENT_TYPES' | 'RATE_LIMIT'>(name: Name, text: string) {
  const settings = { [name]: publicWebSettings[name] };
  return Reflect.get(loadConfig(settings, { [name]: text }), name);
}

test('PUBLIC_EVENT_TYPES takes types, with * at their end alone', () => {
  const types = ['PingRequest', 'com.example.*', '*'];
  assert.deepEqual(read('PUBLIC_EVENT_TYPES', 'PingRequest, com.example.*,*'), types);
  for (const text of ['a b', '*a', 'a**', 'a/b', 't'.repeat(129), ','])
    assert.throws(() => read('PUBLIC_EVENT_TYPES', text), { code: 'invalid-config' }, text);
});

test('ALLOWED_HOSTS takes names without scheme and port, with *. before them alone', () => {
  assert.deepEqual(read('ALLOWED_HOSTS', 'API.example.com, *.example.org,*'), [
    'api.example.com',
    '*.example.org',
    '*',
  ]);
  for (const text of ['http://a', 'a:80', 'a.*', '*a', 'a b', 'ä', ','])
    assert.throws(() => read('ALLOWED_HOSTS', text), { code: 'invalid-config' }, text);
});

test('RATE_LIMIT takes a whole number from none to a million', () => {
  assert.deepEqual([read('RATE_LIMIT', '0'), read('RATE_LIMIT', '1000000')], [0, 1_000_000]);
  for (const text of ['-1', '1000001', '1.5'])
    assert.throws(() => read('RATE_LIMIT', text), { code: 'invalid-config' }, text);
});

test('a wrong value is repeated only as far as shows which it is', () => {
  const long = 'x'.repeat(1_000_000);
  assert.throws(() => read('PUBLIC_EVENT_TYPES', long), { message: /: x{40}… is not an event type$/ });
  assert.throws(() => read('ALLOWED_HOSTS', `${long}/`), { message: /: x{40}… is not a host name/ });
});
