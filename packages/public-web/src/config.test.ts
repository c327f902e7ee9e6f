import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@waybill/common/config.ts';
import { loadPublicWebConfig, publicWebSettings } from './config.ts';

/** What is made of the value `text` of the setting `name` alone. */
function read<Name extends 'ALLOWED_HOSTS' | 'PUBLIC_EVENT_TYPES' | 'RATE_LIMIT' | 'IDEMPOTENCY_MAX_KEYS'>(
  name: Name,
  text: string,
) {
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

test('IDEMPOTENCY_MAX_KEYS takes no more keys than there is room for in memory', () => {
  assert.equal(read('IDEMPOTENCY_MAX_KEYS', '131072'), 131_072);
  assert.throws(() => read('IDEMPOTENCY_MAX_KEYS', '131073'), {
    message: /IDEMPOTENCY_MAX_KEYS: 131073 is not a whole number from 1 to 131072$/,
  });
});

test('a wrong value is repeated only as far as shows which it is', () => {
  const long = 'x'.repeat(1_000_000);
  assert.throws(() => read('PUBLIC_EVENT_TYPES', long), { message: /: x{40}… is not an event type$/ });
  assert.throws(() => read('ALLOWED_HOSTS', `${long}/`), { message: /: x{40}… is not a host name/ });
});

const secret = { INTERNAL_SECRETS: 's'.repeat(32) };
const mesh = { MESH_ID: 'berlin', MESH_ADDRESS: '127.0.0.1:50051', MESH_NAMESPACES: 'acme, other.v1' };

test('the settings of the mesh are given together, and an open mesh is for loopback alone', () => {
  assert.deepEqual(loadPublicWebConfig({ ...secret, ...mesh }).MESH_NAMESPACES, ['acme', 'other.v1']);
  for (const name of Object.keys(mesh))
    assert.throws(() => loadPublicWebConfig({ ...secret, ...mesh, [name]: '' }), {
      message: /set the first three/,
    });
  for (const HOST of ['127.0.0.2', '::1', 'localhost']) loadPublicWebConfig({ ...secret, ...mesh, HOST });
  for (const HOST of ['0.0.0.0', '::', '10.0.0.1', 'localhost.example'])
    assert.throws(() => loadPublicWebConfig({ ...secret, ...mesh, HOST }), { message: /for loopback alone/ });
});

test('a name of the mesh is one that events and gRPC can have, and no namespace is within another', () => {
  for (const [name, text] of [
    ['MESH_ID', 'a,b'],
    ['MESH_ADDRESS', 'http://a:1'],
    ['MESH_ADDRESS', 'a:65536'],
    ['MESH_ADDRESS', 'unix:/x'],
    ['MESH_DESCRIPTORS', '/nowhere'],
    ['MESH_DESCRIPTORS', import.meta.filename],
    ['MESH_NAMESPACES', 'waybill'],
    ['MESH_NAMESPACES', 'waybill.x'],
    ['MESH_NAMESPACES', 'a b'],
    ['MESH_NAMESPACES', 'acme,acme.v1'],
  ] as const)
    assert.throws(
      () => loadPublicWebConfig({ ...secret, ...mesh, [name]: text }),
      { code: 'invalid-config' },
      text,
    );
  loadPublicWebConfig({ ...secret, ...mesh, MESH_NAMESPACES: 'acme,acmes' });
});

test('with a store a key is known for as long as its event may run', () => {
  const load = (env: Record<string, string>) => loadPublicWebConfig({ ...secret, ...env });
  const STORE_URLS = 'http://localhost:8090';
  const short = { IDEMPOTENCY_WINDOW_MS: '19999', DEADLINE_MS: '10000' };
  load(short);
  load({ STORE_URLS, ...short, IDEMPOTENCY_WINDOW_MS: '20000' });
  load({ STORE_URLS, DEADLINE_MS: '300000' });
  for (const env of [short, { DEADLINE_MS: '300001' }])
    assert.throws(() => load({ STORE_URLS, ...env }), { message: /IDEMPOTENCY_WINDOW_MS.*at least twice/ });
});
