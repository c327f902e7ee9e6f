import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { CollectiveDispatcher } from './collective-dispatcher.ts';
import { createMemoryConnections } from './connections.ts';
import { copyOf, createNetwork, dispatch, type Network, recordOf } from './mesh.fixture.ts';

for (const [how, lose] of [
  ['was lost', (network: Network) => refuseBetween(network, 'a', 'b')],
  ['had shut down', (_network: Network, b: CollectiveDispatcher) => b.shutdown()],
] as const)
  test(`a peer that ${how} when this site ended is connected again after a restart, whoever asked for it in vain`, async () => {
    const network = createNetwork();
    const connections = createMemoryConnections();
    const [a, b] = [network.add('a', { connections }), network.add('b')];
    await a.connectTo('b:1');
    await lose(network, b);
    await eventually(async () => assert.deepEqual(await a.listActiveConnections(), []));
    network.setFault('a', 'b', 'refuse');
    await assert.rejects(a.connectTo('b:1'));
    const restarted = network.add('a', { connections: await copyOf(connections) });
    await a.shutdown();
    if (how === 'had shut down') network.add('b');
    await restarted.recoverFromRestart();
    network.setFault('a', 'b', undefined);
    await eventually(async () => assert.equal((await restarted.listActiveConnections()).length, 1));
    await network.close();
    await b.shutdown();
  });

test('a connection that was ended for good is not made again, by neither site, also after a restart', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  const [a, b] = [network.add('a', { connections }), network.add('b')];
  await a.connectTo('b:1');
  const { connectionId } = await a.connectTo('b:1');
  await a.disconnect(connectionId);
  network.setFault('a', 'b', 'refuse');
  await assert.rejects(a.connectTo('b:1'));
  network.setFault('a', 'b', undefined);
  await a.shutdown();
  const restarted = network.add('a', { connections });
  await restarted.recoverFromRestart();
  // What it does connect to by itself shows that it has had the time.
  await restarted.connectTo('c:1', { isPersistent: true }).catch(() => {});
  network.add('c');
  await eventually(async () => assert.equal((await restarted.listActiveConnections()).length, 1));
  assert.deepEqual(await recordOf(restarted), [
    'outbound b DISCONNECTED',
    'outbound  FAILED',
    'outbound  FAILED',
    'outbound c ACTIVE',
  ]);
  assert.deepEqual(await recordOf(b), ['inbound a DISCONNECTED']);
  await network.close();
});

test('what is recovered late does not bring back what was ended for good meanwhile', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  const earlier = network.add('a', { connections });
  const b = network.add('b');
  await earlier.connectTo('b:1');
  const restarted = network.add('a', { connections: await copyOf(connections) });
  const { connectionId } = await restarted.connectTo('b:1');
  await restarted.disconnect(connectionId);
  await restarted.recoverFromRestart();
  await eventually(async () => assert.deepEqual(await b.listActiveConnections(), []));
  assert.deepEqual(await recordOf(restarted), ['outbound b STALE', 'outbound b DISCONNECTED']);
  await earlier.shutdown();
  await network.close();
});

test('after a restart what was active is stale, and is connected again by itself', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  const a = network.add('a', { connections });
  network.add('b').registerService('shared', 'Greeter', 'Greet', () => null);
  await a.connectTo('b:1');
  // The first `a` is not told that it has ended, as by a kill.
  const restarted = network.add('a', { connections: await copyOf(connections) });
  await restarted.recoverFromRestart();
  assert.deepEqual(await recordOf(restarted), ['outbound b STALE']);
  await eventually(async () =>
    assert.deepEqual(await recordOf(restarted), ['outbound b STALE', 'outbound b ACTIVE']),
  );
  assert.equal((await dispatch(restarted)).handled_by_collector_id, 'b');
  await a.shutdown();
  await network.close();
});

function refuseBetween(network: Network, one: string, other: string): void {
  network.setFault(one, other, 'refuse');
  network.setFault(other, one, 'refuse');
}
