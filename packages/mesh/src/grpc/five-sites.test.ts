/** Five sites over real gRPC in one process, each of which serves a method that no other does. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { dispatchRequest } from '../mesh.fixture.ts';
import type { DispatchResponse } from '../messages.ts';
import { type GrpcSite, startSite } from './grpc-mesh.fixture.ts';

const IDS = ['a', 'b', 'c', 'd', 'e'];
const CALLS = 100;
/** Of a slow machine. */
const HEALING = { timeoutMs: 60_000 };

type Edge = readonly [from: number, to: number];
const ring: Edge[] = IDS.map((_id, index) => [index, (index + 1) % IDS.length]);
const star: Edge[] = [1, 2, 3, 4].map((leaf) => [0, leaf]);
const full: Edge[] = IDS.flatMap((_id, from) =>
  IDS.map((_id, to): Edge => [from, to]).filter(([from, to]) => from < to),
);

/** Starts the sites; `runs` has how often each call, by its number, has run. */
async function start(t: TestContext, edges: Edge[]) {
  const runs = new Map<string, number>();
  const sites: GrpcSite[] = [];
  for (const id of IDS) {
    const site = await startSite(t, id, { checkMs: 100 });
    site.registerService('shared', 'Only', id, ({ executionContext: { call = '' } }) => {
      runs.set(call, (runs.get(call) ?? 0) + 1);
      return null;
    });
    sites.push(site);
  }
  for (const [from, to] of edges) await sites[from]?.connectTo(sites[to]?.address ?? '');
  let calls = 0;
  /** Calls the method of `target` at `origin`. */
  function call(origin: string, target: string, deadlineMs = 60_000): Promise<DispatchResponse> {
    calls += 1;
    const service = { namespace: 'shared', service_name: 'Only' };
    const request = dispatchRequest({ service, method_name: target, routing_hints: { call: String(calls) } });
    return siteOf(origin).dispatch(request, { deadlineMs });
  }
  const siteOf = (id: string) => sites[IDS.indexOf(id)] ?? assert.fail();
  return { sites, siteOf, runs, call };
}

for (const [name, edges] of Object.entries({ ring, star, full }))
  test(`in a ${name} each call runs once, at the site that serves it`, async (t) => {
    const { runs, call } = await start(t, edges);
    const answers = Array.from({ length: CALLS }, async (_, index) => {
      const [origin = '', target = ''] = [IDS[index % 5], IDS[Math.floor(index / 5) % 5]];
      const { status, handled_by_collector_id } = await call(origin, target);
      assert.deepEqual([status.code, handled_by_collector_id], [200, target], status.message);
    });
    await Promise.all(answers);
    assert.equal(runs.size, CALLS);
    for (const [number, times] of runs) assert.equal(times, 1, number);
  });

test('a frozen site holds up nobody else, its own calls are answered in time, and it heals by itself', async (t) => {
  const { siteOf, runs, call } = await start(t, full);
  const others = IDS.filter((id) => id !== 'e');
  const callAll = async () => {
    for (const origin of others)
      for (const target of others) assert.equal((await call(origin, target)).handled_by_collector_id, target);
  };
  await callAll();
  siteOf('e').proxy.setFault({ drop: 'both' });
  const stalled = others.map((id) => call(id, 'e', 1_500));
  for (let round = 0; round < 10; round += 1) await callAll();
  for (const answer of stalled) {
    const { status } = await answer;
    assert.equal(status.details.code, 'outcome-unknown', status.message);
  }
  siteOf('e').proxy.setFault({});
  for (const id of others)
    await eventually(
      async () => assert.equal((await call(id, 'e', 1_000)).handled_by_collector_id, 'e'),
      HEALING,
    );
  for (const [number, times] of runs) assert.equal(times, 1, number);
});

test('a cut connection fails what is under way as unknown, and is made again', async (t) => {
  const { siteOf, call } = await start(t, [[0, 1]]);
  const started = Promise.withResolvers<void>();
  const hung = Promise.withResolvers<null>();
  let runs = 0;
  siteOf('b').registerService('shared', 'Only', 'b', () => {
    runs += 1;
    started.resolve();
    return runs === 1 ? hung.promise : null;
  });
  const cut = call('a', 'b');
  await started.promise;
  siteOf('b').proxy.reset();
  assert.equal((await cut).status.details.code, 'outcome-unknown');
  hung.resolve(null);
  assert.equal(runs, 1);
  await eventually(async () => assert.equal((await call('a', 'b')).status.code, 200), HEALING);
});

test('a site that is gone is called no more, which provably runs nothing', async (t) => {
  const { siteOf, runs, call } = await start(t, [[0, 1]]);
  await siteOf('b').proxy.close();
  await eventually(async () => {
    const { status } = await call('a', 'b');
    assert.notEqual(status.details.code, 'outcome-unknown');
    assert.equal(status.code === 404 || status.details.code === 'not-accepted', true, status.message);
  }, HEALING);
  assert.equal(runs.size, 0);
});

test('a call under way is answered although its peer says goodbye meanwhile', async (t) => {
  const [a, b] = [await startSite(t, 'a', { checkMs: 60_000 }), await startSite(t, 'b', { checkMs: 60_000 })];
  const started = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<null>();
  b.registerService('shared', 'Greeter', 'Greet', () => {
    started.resolve();
    return gate.promise;
  });
  await a.connectTo(b.address);
  const answer = a.dispatch(dispatchRequest(), { deadlineMs: 60_000 });
  await started.promise;
  await b.shutdown();
  assert.equal((await a.listConnections())[0]?.status, 'DISCONNECTED');
  gate.resolve(null);
  const { status } = await answer;
  assert.deepEqual([status.code, status.message], [200, 'OK']);
});
