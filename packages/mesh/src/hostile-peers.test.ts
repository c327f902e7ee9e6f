/** What peers can say that is not so, and what a site makes of it. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { CollectiveDispatcher } from './collective-dispatcher.ts';
import { createNetwork, dispatch, patient, serveRequest } from './mesh.fixture.ts';
import { type ConnectResponse, failure, NOT_FOUND, OK, type ServeResponse } from './messages.ts';

const ok = (executor_id: string): ServeResponse => ({
  status: { code: OK, message: 'OK', details: {} },
  output: null,
  executor_id,
});
const notFound = (details: Record<string, string>): ServeResponse => ({
  status: failure(NOT_FOUND, 'not here', details),
  output: null,
  executor_id: '',
});

/** A site `a` that is connected to an honest `c`, which serves Greeter.Greet, and to `liar`, which says what it is given to say. */
async function start(t: TestContext, says: Partial<CollectiveDispatcher>) {
  const network = createNetwork();
  t.after(network.close);
  const [a, honest, liar] = [network.add('a'), network.add('c'), network.add('liar')];
  honest.registerService('shared', 'Greeter', 'Greet', () => null);
  network.alias('liar', { ...liar, ...says });
  return { network, a };
}

describe('a peer that lies about who ran a call', () => {
  for (const [whom, executorId] of [
    ['the site that asks it', 'a'],
    ['nobody', ''],
    ['a name that is none', 'x,y'],
    ['a name of absurd length', 'x'.repeat(1_000_000)],
  ] as const)
    it(`and names ${whom}, is named itself`, async (t) => {
      const { a } = await start(t, { serve: async () => ok(executorId) });
      await a.connectTo('liar:1');
      for (const target_collector_id of ['', 'liar'])
        assert.equal((await dispatch(a, { target_collector_id })).handled_by_collector_id, 'liar');
    });

  it('and names another, where it is the target, is named itself', async (t) => {
    const { a } = await start(t, { serve: async () => ok('c') });
    await a.connectTo('liar:1');
    assert.equal((await dispatch(a, { target_collector_id: 'liar' })).handled_by_collector_id, 'liar');
  });

  it('and names one that has said it does not serve it, is named itself', async (t) => {
    const { network, a } = await start(t, { serve: async () => ok('c') });
    await a.connectTo('c:1');
    await a.connectTo('liar:1');
    assert.equal((await dispatch(a, { method_name: 'Part' })).handled_by_collector_id, 'liar');
    assert.deepEqual(network.hops, ['a>c', 'a>liar']);
  });

  it('and says that somebody ran what it did not find, names nobody', async (t) => {
    const { a } = await start(t, { serve: async () => ({ ...notFound({}), executor_id: 'c' }) });
    await a.connectTo('liar:1');
    assert.equal((await dispatch(a)).handled_by_collector_id, '');
  });
});

describe('a peer that lies about the way of a call', () => {
  it('and names every site as asked, keeps one call from them and no other', async (t) => {
    const lists: string[] = [];
    const { a } = await start(t, {
      serve: async ({ execution_context }) => {
        lists.push(String(execution_context['waybill-visited']));
        return notFound({ 'waybill-visited': 'a,c,liar,' });
      },
    });
    await a.connectTo('liar:1');
    assert.equal((await dispatch(a)).status.code, NOT_FOUND);
    await a.connectTo('c:1');
    // It has said that it does not serve the method, so it comes last.
    for (let call = 0; call < 3; call += 1) assert.equal((await dispatch(a)).handled_by_collector_id, 'c');
    assert.deepEqual(lists, ['a']);
  });

  it('and names more sites than there can be, has not one more named to others', async (t) => {
    const absurd = `${'x'.repeat(1_000_000)},${Array.from({ length: 100_000 }, (_, n) => `s${n}`)}`;
    const { network, a } = await start(t, { serve: async () => notFound({ 'waybill-visited': absurd }) });
    const lengths: number[] = [];
    const last = network.add('z');
    network.alias('z', {
      ...last,
      serve: async ({ execution_context }) => {
        lengths.push(String(execution_context['waybill-visited']).length);
        return ok('z');
      },
    });
    await a.connectTo('liar:1');
    await a.connectTo('z:1');
    for (let call = 0; call < 2; call += 1)
      assert.equal((await dispatch(a, { method_name: `Part${call}` })).handled_by_collector_id, 'z');
    assert.ok(Math.max(...lengths) < 140_000, String(lengths));
  });

  it('is not believed that a call which it answers with 200 was not run', async (t) => {
    const status = { code: OK, message: 'OK', details: { code: 'not-accepted' } };
    const { network, a } = await start(t, { serve: async () => ({ ...ok('liar'), status }) });
    await a.connectTo('liar:1');
    await a.connectTo('c:1');
    assert.deepEqual((await dispatch(a)).status, status);
    assert.deepEqual(network.hops, ['a>liar']);
  });
});

describe('a peer that lies about itself', () => {
  const connected = (changes: Partial<ConnectResponse>): Pick<CollectiveDispatcher, 'accept'> => ({
    accept: async () => ({
      status: { code: OK, message: 'Connected', details: {} },
      connection_id: 'c-1',
      shared_namespaces: ['shared'],
      target_collector_id: 'liar',
      ...changes,
    }),
  });

  for (const [what, target_collector_id, message] of [
    ['does not say who it is', '', 'the peer does not say who it is'],
    ['has a name that is none', 'x,y', 'the peer does not say who it is'],
    ['has one of absurd length', 'x'.repeat(129), 'the peer does not say who it is'],
    ['says that it is this site', 'a', 'this collector is at that address'],
  ] as const)
    it(`${what}, is not connected to`, async (t) => {
      const { a } = await start(t, connected({ target_collector_id }));
      await assert.rejects(a.connectTo('liar:1'), { message });
      assert.deepEqual(await a.listActiveConnections(), []);
    });

  it('is another than it should be, is not connected to', async (t) => {
    const network = createNetwork();
    t.after(network.close);
    const a = network.add('a', { peerAt: (address) => (address === 'b:1' ? { id: 'b' } : undefined) });
    network.alias('b', network.add('c'));
    await assert.rejects(a.connectTo('b:1'), { message: "the collector there is not 'b'" });
    const request = { address: 'b:1', namespaces: ['shared'], metadata: {} };
    for (const [callerId, metadata] of [
      ['c', {}],
      [undefined, { collector_id: 'b' }],
      ['b', { collector_id: 'c' }],
    ] as const)
      assert.equal((await a.accept({ ...request, metadata }, callerId)).status.code, 400);
    assert.deepEqual(await a.listActiveConnections(), []);
  });

  it('and whose name is none, is refused when it connects', async (t) => {
    const { a } = await start(t, {});
    for (const collector_id of ['x,y', 'x'.repeat(129), 'x\ny']) {
      const metadata = { collector_id };
      const { status } = await a.accept({ address: 'liar:1', namespaces: ['shared'], metadata });
      assert.deepEqual([status.code, status.message], [400, 'collector_id is none']);
    }
  });

  it('or says nothing at all, is not asked again and again who it is', async (t) => {
    let connects = 0;
    const { a } = await start(t, {
      accept: async (request) => {
        connects += 1;
        return connected({ target_collector_id: '' }).accept(request);
      },
    });
    await a.accept({ address: 'liar:1', namespaces: ['shared'], metadata: {} });
    await eventually(async () => assert.equal((await a.listConnections())[0]?.status, 'FAILED'));
    assert.ok(connects < 20, `${connects} Connects`);
  });

  it('and shares what it was not offered, shares what it was, each once', async (t) => {
    const shared_namespaces = ['waybill', 'secret', 'shared', ...Array(100_000).fill('shared')];
    const { a } = await start(t, connected({ shared_namespaces }));
    assert.deepEqual((await a.connectTo('liar:1')).sharedNamespaces, ['shared']);
    assert.match((await dispatch(a, { namespace: 'secret' })).status.message, /^no collector found/);
  });
});

describe('a name of absurd length', () => {
  for (const changes of [
    { namespace: 'x'.repeat(256) },
    { service: { namespace: '', service_name: 'x'.repeat(256) } },
    { method_name: 'x'.repeat(256) },
  ])
    it(`is refused as ${Object.keys(changes)}, before any peer is asked`, async (t) => {
      const { network, a } = await start(t, {});
      await a.connectTo('c:1');
      for (const { status } of [await a.serve(serveRequest(changes), patient), await dispatch(a, changes)])
        assert.deepEqual([status.code, status.message], [400, `${Object.keys(changes)} is too long`]);
      assert.deepEqual(network.hops, []);
    });
});

it('a failure that a peer words as none of the contract is told as it is', async (t) => {
  const status = { code: 999, message: 'odd', details: { code: 'x'.repeat(10_000) } };
  const { a } = await start(t, { serve: async () => ({ ...ok('liar'), status }) });
  await a.connectTo('liar:1');
  assert.deepEqual((await dispatch(a)).status, status);
});
