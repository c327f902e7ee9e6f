import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createNetwork, dispatch } from './mesh.fixture.ts';
import { loopbackAlone, type PeerAt } from './trust.ts';

/** A site `a` that knows `b`, at its address, with the namespace `shared` alone. */
function guarded() {
  const network = createNetwork();
  const peerAt: PeerAt = (address) => (address === 'b:1' ? { id: 'b', namespaces: ['shared'] } : undefined);
  const a = network.add('a', { peerAt, namespaces: ['shared', 'secret'] });
  return { network, a };
}
const connect = { address: 'b:1', namespaces: ['shared', 'secret'], metadata: {} };

test('an address that is no peer is called neither because it was named nor because it was asked for', async () => {
  const { network, a } = guarded();
  network.add('c');
  await assert.rejects(a.connectTo('c:1'), { code: 'forbidden' });
  for (const [address, callerId] of [
    ['c:1', undefined],
    ['c:1', 'b'],
    ['169.254.169.254:80', 'b'],
    ['b:1', undefined],
    ['b:1', 'c'],
  ] as const) {
    const { status } = await a.accept({ ...connect, address }, callerId);
    assert.equal(`${status.code} ${status.message}`, '400 address is none that the caller may have');
  }
  assert.deepEqual(await a.listConnections(), []);
  await network.close();
});

test('a goodbye in the name of another is refused', async () => {
  const { network, a } = guarded();
  network.add('b');
  await a.connectTo('b:1');
  const goodbye = { ...connect, metadata: { 'waybill-goodbye': 'disconnect' } };
  assert.equal((await a.accept(goodbye, undefined)).status.code, 400);
  assert.equal((await a.listActiveConnections()).length, 1);
  await network.close();
});

test('a peer is who its key says, and gets the namespaces that it may have', async () => {
  const { network, a } = guarded();
  const claims = { ...connect, metadata: { collector_id: 'c' } };
  assert.equal((await a.accept(claims, 'b')).status.message, 'collector_id is not that of the caller');
  const answer = await a.accept(connect, 'b');
  assert.deepEqual(answer.shared_namespaces, ['shared']);
  assert.deepEqual(
    (await a.listConnections()).map(({ peerId }) => peerId),
    ['b'],
  );
  await network.close();
});

test('a peer is not told of, nor called for, namespaces that it may not have', async () => {
  const { network, a } = guarded();
  const b = network.add('b', { namespaces: ['shared', 'secret'] });
  for (const namespace of ['shared', 'secret']) b.registerService(namespace, 'Greeter', 'Greet', () => null);
  const { sharedNamespaces } = await a.connectTo('b:1');
  assert.deepEqual(sharedNamespaces, ['shared']);
  assert.equal((await dispatch(a)).handled_by_collector_id, 'b');
  assert.equal((await dispatch(a, { namespace: 'secret' })).status.code, 404);
  await network.close();
});

test('whoever answers at the address of a peer and is another is not connected to', async () => {
  const { network, a } = guarded();
  const impostor = network.add('c', { address: 'b:1' });
  network.alias('b', impostor);
  await assert.rejects(a.connectTo('b:1', { isPersistent: true }), {
    message: "the collector there is not 'b'",
  });
  assert.deepEqual(await a.listActiveConnections(), []);
  network.alias('b', network.add('b'));
  await eventually(async () => assert.equal((await a.listActiveConnections()).length, 1));
  await network.close();
});

test('without peers that are known, everybody on this machine is one, and nobody else', () => {
  for (const address of ['127.0.0.1:1', '127.9.9.9:1', '[::1]:1', 'localhost:1'])
    assert.deepEqual(loopbackAlone(address), {}, address);
  for (const address of [
    '10.0.0.1:1',
    '0.0.0.0:1',
    '[::]:1',
    '[::ffff:10.0.0.1]:1',
    'localhost.evil.example:1',
    '2130706433:1',
    '0x7f.1:1',
  ])
    assert.equal(loopbackAlone(address), undefined, address);
});
