import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createMemoryConnections } from './connections.ts';
import { createNetwork, dispatch, recordOf } from './mesh.fixture.ts';

test('a peer that connects while a goodbye is being taken, or said, is not left with half a connection', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  const saved = Promise.withResolvers<void>();
  const a = network.add('a', {
    connections: {
      ...connections,
      save: async (connection) => {
        if (connection.status !== 'ACTIVE') await saved.promise;
        await connections.save(connection);
      },
    },
  });
  const b = network.add('b');
  await a.connectTo('b:1');
  const request = { address: 'b:1', namespaces: ['shared'], metadata: { collector_id: 'b' } };
  const goodbye = { ...request, namespaces: [], metadata: { 'waybill-goodbye': 'disconnect' } };
  const taken = a.accept(goodbye);
  const { status } = await a.accept(request);
  saved.resolve();
  await taken;
  assert.equal(status.code, 200);
  b.registerService('shared', 'Greeter', 'Greet', () => null);
  assert.equal((await dispatch(a, { target_collector_id: 'b' })).handled_by_collector_id, 'b');
  await network.close();
});

test('a goodbye ends the connection on both sides for good', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  const { connectionId } = await a.connectTo('b:1');
  await a.disconnect(connectionId);
  assert.deepEqual(await recordOf(a), ['outbound b DISCONNECTED']);
  assert.deepEqual(await recordOf(b), ['inbound a DISCONNECTED']);
  await assert.rejects(a.disconnect(connectionId), { code: 'not-found' });
  await network.close();
});

test('a peer that does not hear a goodbye for good is told until it does, and cannot connect before', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  await b.connectTo('a:1');
  const [{ connectionId } = assert.fail()] = await a.listConnections();
  network.setFault('a', 'b', 'lose-request');
  assert.equal((await a.disconnect(connectionId)).status, 'DISCONNECTED');
  await eventually(async () => assert.deepEqual(await recordOf(b), ['outbound a FAILED']));
  network.setFault('a', 'b', undefined);
  await eventually(async () => assert.equal((await b.listConnections())[0]?.reason, 'the peer disconnected'));
  assert.deepEqual(await recordOf(a), ['inbound b DISCONNECTED']);
  await b.connectTo('a:1');
  assert.equal((await a.listActiveConnections()).length, 1);
  await network.close();
});

test('whoever connects again is connected, though the goodbye before was not heard', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  const { connectionId } = await a.connectTo('b:1');
  network.setFault('a', 'b', 'lose-request');
  await a.disconnect(connectionId);
  network.setFault('a', 'b', undefined);
  const heard: boolean[] = [];
  network.alias('b', {
    ...b,
    accept(request) {
      heard.push('waybill-goodbye' in request.metadata);
      return b.accept(request);
    },
  });
  await a.connectTo('b:1');
  // The Connect that comes by itself is later than the goodbye would be.
  await eventually(() => assert.ok(heard.length >= 2));
  assert.deepEqual([...new Set(heard)], [false]);
  for (const site of [a, b]) assert.equal((await site.listActiveConnections()).length, 1);
  await network.close();
});

test('a goodbye is taken for every address at which its sender is known', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  network.alias('bb', b);
  await a.connectTo('bb:1');
  const [{ connectionId } = assert.fail()] = await b.listConnections();
  await b.disconnect(connectionId);
  assert.deepEqual(await recordOf(a), ['outbound b DISCONNECTED']);
  await network.close();
});

test('a peer that has failed, and is tried again, can be ended for good', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  const [a, b] = [network.add('a', { connections }), network.add('b')];
  const { connectionId } = await a.connectTo('b:1');
  await a.shutdown();
  await b.shutdown();
  network.setFault('a', 'b', 'refuse');
  const restarted = network.add('a', { connections });
  await restarted.recoverFromRestart();
  assert.equal((await restarted.disconnect(connectionId)).reason, 'this site disconnected');
  await assert.rejects(restarted.disconnect(connectionId), { code: 'not-found' });
  await network.close();
});

test('a site that shut down in order is missed at once, and connected again when it is back', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  const [a, b] = [network.add('a'), network.add('b', { connections })];
  await a.connectTo('b:1');
  await b.shutdown();
  assert.deepEqual(await recordOf(a), ['outbound b DISCONNECTED']);
  // It is tried again at once, and refused for as long as `b` still answers.
  const request = { address: 'a:1', namespaces: ['shared'], metadata: { collector_id: 'a' } };
  assert.equal((await b.accept(request)).status.message, 'this site shuts down');
  assert.deepEqual((await dispatch(b, { method_name: 'Part' })).status.details, { code: 'not-accepted' });
  assert.deepEqual(await b.listActiveConnections(), []);
  assert.deepEqual(await recordOf(a), ['outbound b DISCONNECTED']);
  const restarted = network.add('b', { connections });
  await restarted.recoverFromRestart();
  for (const site of [restarted, a])
    await eventually(async () => assert.equal((await site.listActiveConnections()).length, 1));
  await network.close();
});
