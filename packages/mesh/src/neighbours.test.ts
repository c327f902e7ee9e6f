import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { CollectiveDispatcher } from './collective-dispatcher.ts';
import { type Connection, createMemoryConnections } from './connections.ts';
import { createNetwork, dispatch, recordOf } from './mesh.fixture.ts';

test('both sides of a connection have it on record, with who is at the other end', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  const connection = await a.connectTo('b:1');
  assert.deepEqual([connection.peerId, connection.sharedNamespaces], ['b', ['shared']]);
  assert.deepEqual(await recordOf(a), ['outbound b ACTIVE']);
  assert.deepEqual(await recordOf(b), ['inbound a ACTIVE']);
  assert.equal((await b.connectTo('a:1')).connectionId, (await b.listConnections())[0]?.connectionId);
  await network.close();
});

test('a peer that does not say who it is is asked', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  b.registerService('shared', 'Greeter', 'Greet', () => null);
  await a.accept({ address: 'b:1', namespaces: ['shared'], metadata: {} });
  const answer = () => dispatch(a, { target_collector_id: 'b' });
  await eventually(async () => assert.equal((await answer()).handled_by_collector_id, 'b'));
  assert.deepEqual(await recordOf(a), ['inbound b ACTIVE']);
  await network.close();
});

test('a connection that cannot be made is on record as failed, and not tried again', async () => {
  const network = createNetwork();
  const a = network.add('a');
  await assert.rejects(a.connectTo('b:1'), { code: 'not-accepted', message: 'connection refused' });
  assert.deepEqual(await recordOf(a), ['outbound  FAILED']);
  for (const address of ['', 'b', 'http://b:1', 'a:1', 'b:1/x'])
    await assert.rejects(a.connectTo(address), { code: 'invalid-request' });
  await network.close();
});

test('why a peer is not connected is logged, each reason once and no more of it than is needed', async () => {
  const network = createNetwork();
  const warned: unknown[] = [];
  const log = { info() {}, warn: (fields: object) => warned.push('reason' in fields && fields.reason) };
  const a = network.add('a', { log });
  const b = network.add('b');
  let tries = 0;
  network.alias('b', {
    ...b,
    async accept(request) {
      const { status, ...answer } = await b.accept(request);
      tries += 1;
      return {
        ...answer,
        status: { ...status, code: 500, message: tries < 4 ? 'x'.repeat(4_000_000) : 'no' },
      };
    },
  });
  await assert.rejects(a.connectTo('b:1', { isPersistent: true }));
  const [failed] = await a.listConnections();
  assert.ok(Number(failed?.reason?.length) < 300);
  await eventually(() => assert.equal(warned.length, 2));
  const refused = 'the peer refuses to connect: ';
  assert.deepEqual(warned, [`${refused}${'x'.repeat(200)}`, `${refused}no`]);
  network.alias('b', b);
  await eventually(async () => assert.equal((await a.listActiveConnections()).length, 1));
  await network.close();
});

test('one that is to be kept is made as soon as the peer is there', async () => {
  const network = createNetwork();
  const a = network.add('a');
  await assert.rejects(a.connectTo('b:1', { isPersistent: true }), { code: 'not-accepted' });
  network.add('b');
  await eventually(async () => assert.equal((await a.listActiveConnections()).length, 1));
  await network.close();
});

test('a peer that is to be kept is tried on after somebody has asked for it once, in vain', async () => {
  const network = createNetwork();
  const a = network.add('a');
  await assert.rejects(a.connectTo('b:1', { isPersistent: true }), { code: 'not-accepted' });
  await assert.rejects(a.connectTo('b:1'), { code: 'not-accepted' });
  network.add('b');
  await eventually(async () => assert.equal((await a.listActiveConnections()).length, 1));
  await network.close();
});

test('of two that ask for the same peer at once the one that fails leaves the other its connection', async () => {
  const network = createNetwork();
  const { address, accept } = network.add('b');
  const first = Promise.withResolvers<never>();
  const second = Promise.withResolvers<void>();
  const answers: Promise<unknown>[] = [first.promise, second.promise];
  const a = network.add('a', {
    openPeer: () => ({
      async connect(request) {
        await answers.shift();
        return accept(request);
      },
      serve: () => Promise.reject(new AppError('not-accepted', 'nobody')),
      check: async () => {},
      close() {},
    }),
  });
  const [fails, succeeds] = [a.connectTo(address), a.connectTo(address)];
  first.reject(new AppError('not-accepted', 'no connection can be made'));
  await assert.rejects(fails, { code: 'not-accepted' });
  second.resolve();
  assert.equal((await succeeds).status, 'ACTIVE');
  assert.equal((await a.listActiveConnections()).length, 1);
  await network.close();
});

test('a peer that is gone has failed, and is connected again when it is back', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  await a.connectTo('b:1');
  const between = [
    ['a', 'b'],
    ['b', 'a'],
  ] as const;
  for (const [from, to] of between) network.setFault(from, to, 'refuse');
  for (const site of [a, b])
    await eventually(async () => assert.deepEqual(await site.listActiveConnections(), []));
  for (const [from, to] of between) network.setFault(from, to, undefined);
  for (const site of [a, b])
    await eventually(async () => assert.equal((await site.listActiveConnections()).length, 1));
  assert.equal((await recordOf(a)).includes('outbound b FAILED'), true);
  await network.close();
});

test('two sites that connect to each other at once try for each other for as long as it takes', async (t) => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  await Promise.all([a.connectTo('b:1'), b.connectTo('a:1')]);
  assert.deepEqual(await recordOf(a), ['outbound b ACTIVE']);
  assert.deepEqual(await recordOf(b), ['outbound a ACTIVE']);
  network.setFault('a', 'b', 'refuse');
  network.setFault('b', 'a', 'refuse');
  for (const site of [a, b])
    await eventually(async () => assert.deepEqual(await site.listActiveConnections(), []));
  passTime(t, 11 * 60_000);
  network.connects.length = 0;
  await eventually(() => {
    for (const way of ['a>b', 'b>a'])
      assert.ok(network.connects.filter((tried) => tried === way).length >= 2, way);
  });
  network.setFault('a', 'b', undefined);
  network.setFault('b', 'a', undefined);
  for (const site of [a, b])
    await eventually(async () => assert.equal((await site.listActiveConnections()).length, 1));
  await network.close();
});

test('a peer that came by itself, was lost and is called again is still one that came by itself', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a', { checkMs: 60_000 }), network.add('b')];
  await a.connectTo('b:1');
  network.setFault('b', 'a', 'refuse');
  await eventually(async () => assert.deepEqual(await b.listActiveConnections(), []));
  network.setFault('b', 'a', undefined);
  await eventually(async () => assert.deepEqual(await recordOf(b), ['inbound a FAILED', 'inbound a ACTIVE']));
  await network.close();
});

test('a peer that answers, and has given this site up, is connected again', async () => {
  const network = createNetwork();
  const [a, first] = [network.add('a'), network.add('b')];
  await a.connectTo('b:1');
  // It answers in the place of the first, as if nothing were, and knows nobody.
  const forgetful = network.add('b');
  await eventually(async () => assert.equal((await forgetful.listActiveConnections()).length, 1));
  assert.deepEqual(await recordOf(a), ['outbound b ACTIVE']);
  await network.close();
  await first.shutdown();
});

test('namespaces that a peer did not hear of, or that changed while it was connected, it is told again', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b', { namespaces: ['shared', 'more', 'most'] })];
  let isFirst = true;
  network.alias('b', {
    ...b,
    async accept(request) {
      const answer = await b.accept(request);
      if (isFirst) void a.setNamespaces(['more']);
      isFirst = false;
      return answer;
    },
  });
  const sharedBy = (site: CollectiveDispatcher, expected: string[]) =>
    eventually(async () =>
      assert.deepEqual((await site.listActiveConnections())[0]?.sharedNamespaces, expected),
    );
  await a.connectTo('b:1');
  for (const site of [a, b]) await sharedBy(site, ['more']);
  network.setFault('a', 'b', 'lose-request');
  await a.setNamespaces(['most']);
  network.setFault('a', 'b', undefined);
  for (const site of [a, b]) await sharedBy(site, ['most']);
  await network.close();
});

test('namespaces change at run time, and peers route by the new ones', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b', { namespaces: ['shared', 'other'] })];
  a.registerService('other', 'Greeter', 'Greet', () => null);
  await a.connectTo('b:1');
  const call = () => dispatch(b, { namespace: 'other' });
  assert.equal((await call()).status.code, 404);
  await a.setNamespaces(['other']);
  assert.equal((await call()).handled_by_collector_id, 'a');
  assert.deepEqual((await b.listActiveConnections())[0]?.sharedNamespaces, ['other']);
  await network.close();
});

test('a store that hangs holds up no connection, and has all of it in order when it goes on', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  const hung = Promise.withResolvers<void>();
  const save = (connection: Connection) => hung.promise.then(() => connections.save(connection));
  const a = network.add('a', { connections: { ...connections, save } });
  network.add('b').registerService('shared', 'Greeter', 'Greet', () => null);
  const { connectionId } = await a.connectTo('b:1');
  assert.equal((await dispatch(a)).handled_by_collector_id, 'b');
  await a.disconnect(connectionId);
  assert.deepEqual(await recordOf(a), []);
  hung.resolve();
  await eventually(async () => assert.deepEqual(await recordOf(a), ['outbound b DISCONNECTED']));
  await network.close();
});

test('an end that the store did not take is saved when it does, and only then is anything else of it', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  let isAway = false;
  const save = (connection: Connection) =>
    isAway ? Promise.reject(new AppError('not-accepted', 'no store')) : connections.save(connection);
  const a = network.add('a', { connections: { ...connections, save } });
  network.add('b');
  const { connectionId } = await a.connectTo('b:1');
  isAway = true;
  await a.disconnect(connectionId);
  await a.connectTo('b:1');
  assert.deepEqual(await recordOf(a), ['outbound b ACTIVE']);
  isAway = false;
  await eventually(async () =>
    assert.deepEqual(await recordOf(a), ['outbound b DISCONNECTED', 'outbound b ACTIVE']),
  );
  await network.close();
});

test('what the store takes for no record is not tried on, and holds up nothing', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  const save = async (connection: Connection) => {
    if (connection.address === 'b:1') throw new AppError('too-large', 'no');
    await connections.save(connection);
  };
  const a = network.add('a', { connections: { ...connections, save } });
  for (const id of ['b', 'c']) network.add(id);
  await a.connectTo('b:1');
  await a.connectTo('c:1');
  assert.deepEqual(await recordOf(a), ['outbound c ACTIVE']);
  await network.close();
});

test('calls that end after their connection are counted on it', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  const hung = Promise.withResolvers<null>();
  b.registerService('shared', 'Greeter', 'Greet', () => hung.promise);
  const { connectionId } = await a.connectTo('b:1');
  const calls = [dispatch(a), dispatch(a)];
  await eventually(() => assert.equal(network.hops.length, 2));
  await a.disconnect(connectionId);
  assert.equal((await a.listConnections())[0]?.calls, 0);
  hung.resolve(null);
  await Promise.all(calls);
  await eventually(async () => assert.equal((await a.listConnections())[0]?.calls, 2));
  await network.close();
});

test('a peer that connects again and says nothing new costs the store nothing', async () => {
  const network = createNetwork();
  const connections = createMemoryConnections();
  let saves = 0;
  const save = (connection: Connection) => {
    saves += 1;
    return connections.save(connection);
  };
  const a = network.add('a', { connections: { ...connections, save }, checkMs: 60_000 });
  network.add('b', { checkMs: 60_000 });
  const request = { address: 'b:1', namespaces: ['shared'], metadata: { collector_id: 'b' } };
  for (let n = 0; n < 100; n += 1) await a.accept(request);
  assert.equal(saves, 1);
  await a.accept({ ...request, namespaces: [] });
  assert.equal(saves, 2);
  await network.close();
});

test('a peer that drops every connection as soon as it is made is not connected at any rate', async () => {
  const dials: number[] = [];
  const many = Promise.withResolvers<void>();
  const network = createNetwork();
  const { address, accept } = network.add('b');
  const a = network.add('a', {
    openPeer: (_address, onDropped) => ({
      async connect(request) {
        dials.push(performance.now());
        if (dials.length === 9) many.resolve();
        return accept(request);
      },
      serve: () => Promise.reject(new AppError('not-accepted', 'nobody')),
      check: async () => onDropped(),
      close() {},
    }),
  });
  await a.connectTo(address);
  await many.promise;
  const [first = 0, , , , , , , , last = 0] = dials;
  // Eight waits of up to 250 ms each, at random; without them it is some milliseconds.
  assert.ok(last - first > 100, `${last - first} ms`);
  await network.close();
});

test('calls and bytes are counted on the connection that they went over', async () => {
  const network = createNetwork();
  const [a, b] = [network.add('a'), network.add('b')];
  b.registerService('shared', 'Greeter', 'Greet', () => ({ type_url: 't', value: Buffer.alloc(7) }));
  await a.connectTo('b:1');
  await dispatch(a);
  network.setFault('a', 'b', 'lose-answer');
  await dispatch(a);
  const counted = { calls: 2, failedCalls: 1, bytesSent: 5, bytesReceived: 7 };
  await eventually(async () => {
    const [connection] = await a.listConnections();
    const { calls, failedCalls, bytesSent, bytesReceived } = connection ?? assert.fail();
    assert.deepEqual({ calls, failedCalls, bytesSent, bytesReceived }, counted);
  });
  await network.close();
});

/** Has the clock that waits are measured by show that `ms` have passed. */
function passTime(t: TestContext, ms: number): void {
  const now = performance.now.bind(performance);
  t.mock.method(performance, 'now', () => now() + ms);
}
