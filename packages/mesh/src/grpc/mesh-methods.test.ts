import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import type { CollectiveDispatcher } from '../collective-dispatcher.ts';
import { createNetwork, dispatch } from '../mesh.fixture.ts';
import { registerMeshMethods } from './mesh-methods.ts';

const { service: mesh } = loadPackage('mesh.proto').waybill.Mesh;

function call(site: CollectiveDispatcher, method_name: string, value: Uint8Array, target = '') {
  const service = { namespace: 'waybill', service_name: 'Mesh' };
  const input = { type_url: '', value };
  return dispatch(site, { namespace: 'waybill', service, method_name, input, target_collector_id: target });
}

function start() {
  const network = createNetwork();
  const sites = [network.add('a'), network.add('b')] as const;
  for (const site of sites) registerMeshMethods(site);
  return { network, a: sites[0], b: sites[1] };
}

test('a site connects when it is told to, and says so, also to whoever asks over its peer', async () => {
  const { network, a, b } = start();
  const connected = await call(a, 'Connect', mesh.Connect.requestSerialize({ address: 'b:1' }));
  const { status, peer_id } = mesh.Connect.responseDeserialize(Buffer.from(connected.output?.value ?? []));
  assert.deepEqual([status, peer_id], ['ACTIVE', 'b']);
  assert.equal(connected.output?.type_url, 'type.googleapis.com/waybill.Connection');
  const described = await call(b, 'Describe', Buffer.alloc(0), 'a');
  assert.equal(described.handled_by_collector_id, 'a');
  const site = mesh.Describe.responseDeserialize(Buffer.from(described.output?.value ?? []));
  assert.deepEqual([site.id, site.address, site.namespaces], ['a', 'a:1', ['shared']]);
  const [connection] = site.connections;
  assert.deepEqual(
    [connection?.direction, connection?.address, connection?.shared_namespaces, connection?.ended_at],
    ['outbound', 'b:1', ['shared'], ''],
  );
  await network.close();
});

test('a connection ends when the site is told to end it', async () => {
  const { network, a, b } = start();
  const { connectionId } = await a.connectTo('b:1');
  const ended = await call(
    a,
    'Disconnect',
    mesh.Disconnect.requestSerialize({ connection_id: connectionId }),
  );
  const { status, reason } = mesh.Disconnect.responseDeserialize(Buffer.from(ended.output?.value ?? []));
  assert.deepEqual([status, reason], ['DISCONNECTED', 'this site disconnected']);
  assert.deepEqual(await b.listActiveConnections(), []);
  await network.close();
});

test('what cannot be done is said', async () => {
  const { network, a } = start();
  const told = async (method: string, value: Uint8Array) => (await call(a, method, value)).status.message;
  const nobody = mesh.Connect.requestSerialize({ address: 'c:1' });
  assert.equal(await told('Connect', nobody), 'handler error: connection refused');
  assert.match(await told('Disconnect', Buffer.alloc(0)), /there is no active connection/);
  assert.equal(await told('Connect', Buffer.from([255])), 'handler error: the input is none of this method');
  assert.equal(await told('Nope', Buffer.alloc(0)), "method 'Mesh.Nope' not found in namespace 'waybill'");
  await network.close();
});

test("Waybill's own namespace is shared with nobody", async () => {
  const { network, a } = start();
  const { sharedNamespaces } = await a.connectTo('b:1');
  assert.deepEqual(sharedNamespaces, ['shared']);
  const accepted = await a.accept({ address: 'c:1', namespaces: ['waybill', 'shared'], metadata: {} });
  assert.deepEqual(accepted.shared_namespaces, ['shared']);
  await network.close();
});
