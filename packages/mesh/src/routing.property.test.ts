import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import fc from 'fast-check';
import { createNetwork, dispatch, type LinkFault, patient, serveRequest } from './mesh.fixture.ts';
import { DETAILS, hasNotRun } from './messages.ts';
import { MAX_HOPS } from './way.ts';

const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];
const id = fc.constantFrom(...IDS);
const links = fc.uniqueArray(fc.tuple(id, id), {
  maxLength: 12,
  selector: (pair) => [...pair].sort().join(),
});
const mesh = fc.record({
  links: links.map((pairs) => pairs.filter(([from, to]) => from !== to)),
  servers: fc.subarray(IDS),
  away: fc.subarray(IDS),
  small: fc.subarray(IDS),
  origin: id,
});
const fault = fc.constantFrom<LinkFault>('refuse', 'lose-request', 'lose-answer');
const faults = fc.array(fc.tuple(id, id, fault), { maxLength: 12 });

type Mesh = { links: [string, string][]; servers: string[]; away?: string[]; small?: string[] };

/** A mesh whose `servers` serve the method, and the sites that have run it so far. Others of `away` accept no call, and of `small` none so large. */
async function build({ links, servers, away = [], small = [] }: Mesh, ids = IDS) {
  const network = createNetwork();
  const runs: string[] = [];
  const add = (name: string) => {
    const code = away.includes(name) ? 'not-accepted' : small.includes(name) ? 'too-large' : undefined;
    const runMethod = code && (() => Promise.reject(new AppError(code, 'not here')));
    return network.add(name, { checkMs: 60_000, ...(runMethod && { runMethod }) });
  };
  const sites = new Map(ids.map((name) => [name, add(name)]));
  for (const name of servers)
    sites.get(name)?.registerService('shared', 'Greeter', 'Greet', () => {
      runs.push(name);
      return null;
    });
  for (const [from, to] of links) await sites.get(from)?.connectTo(`${to}:1`);
  return { network, runs, siteOf: (name: string) => sites.get(name) ?? assert.fail() };
}

function reachable(links: [string, string][], origin: string): Set<string> {
  const found = new Set([origin]);
  for (const from of found)
    for (const pair of links) if (pair.includes(from)) for (const to of pair) found.add(to);
  return found;
}

test('a call runs once where its method can be reached, over however many sites, and asks none twice', async () => {
  await fc.assert(
    fc.asyncProperty(mesh, async ({ origin, ...plan }) => {
      const { network, runs, siteOf } = await build(plan);
      const { status, handled_by_collector_id } = await dispatch(siteOf(origin));
      const near = reachable(plan.links, origin);
      const isNear = (name: string) => near.has(name);
      const unserved = plan.away.some(isNear) ? 500 : plan.small.some(isNear) ? 400 : 404;
      assert.equal(status.code, plan.servers.some(isNear) ? 200 : unserved);
      assert.deepEqual(runs, status.code === 200 ? [handled_by_collector_id] : []);
      const asked = network.hops.map((hop) => hop.split('>')[1]);
      assert.equal(new Set([origin, ...asked]).size, asked.length + 1, network.hops.join(' '));
      if (plan.servers.includes(origin)) assert.deepEqual(runs, [origin]);
      await network.close();
    }),
    { numRuns: 60 },
  );
});

test('a call that no site accepts costs one hop per site, and one more for each that cannot reach another', async () => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const links = ids.flatMap((from, index) => ids.slice(index + 1).map((to): [string, string] => [from, to]));
  const { network, siteOf } = await build({ links, servers: [], away: ids }, ids);
  assert.equal((await dispatch(siteOf('a'))).status.details[DETAILS.code], 'not-accepted');
  assert.equal(network.hops.length, 7);
  for (const from of ids) network.setFault(from, 'h', 'refuse');
  network.hops.length = 0;
  assert.equal((await dispatch(siteOf('a'))).status.details[DETAILS.code], 'not-accepted');
  assert.equal(network.hops.length, 6 + 7);
  await network.close();
});

test('whatever links lose, a call runs at most once, and none that is said not to have run has run', async () => {
  await fc.assert(
    fc.asyncProperty(mesh, faults, async ({ origin, ...plan }, faults) => {
      const { network, runs, siteOf } = await build(plan);
      for (const [from, to, kind] of faults) network.setFault(from, to, kind);
      const { status, handled_by_collector_id } = await dispatch(siteOf(origin));
      assert.ok(runs.length <= 1, String(runs));
      assert.equal(new Set(network.hops).size, network.hops.length, network.hops.join(' '));
      if (status.code === 200) assert.deepEqual(runs, [handled_by_collector_id]);
      if (hasNotRun(status)) assert.deepEqual(runs, []);
      await network.close();
    }),
    { numRuns: 120 },
  );
});

test('a call that has come over the most hops is not sent on, and is told so', async () => {
  const line = IDS.map((name, index): [string, string] => [name, IDS[index + 1] ?? 'f']).slice(0, -1);
  const { network, siteOf } = await build({ links: line, servers: ['f'] });
  const after = (hops: number) =>
    siteOf('a').serve(serveRequest({ execution_context: { 'waybill-hops': String(hops) } }), patient);
  assert.equal((await after(MAX_HOPS - 5)).executor_id, 'f');
  const { status } = await after(MAX_HOPS - 4);
  assert.equal(status.message, `no collector found for namespace 'shared' within ${MAX_HOPS} hops`);
  assert.equal(status.details.code, 'hop-limit');
  await network.close();
});

test('what a stranger writes where hops are counted sends a call no further', async () => {
  const { network, siteOf } = await build({ links: [['a', 'b']], servers: ['b'] });
  for (const hops of ['-1', 'NaN', '1e1', '9'.repeat(5), '', '∞'])
    assert.equal(
      (await siteOf('a').serve(serveRequest({ execution_context: { 'waybill-hops': hops } }), patient)).status
        .details.code,
      'hop-limit',
    );
  await network.close();
});

test('a Serve of a client is served where it came, or not at all', async () => {
  const { network, siteOf } = await build({ links: [['a', 'b']], servers: ['b'] });
  assert.equal((await siteOf('a').serve(serveRequest(), patient)).status.code, 404);
  assert.deepEqual(network.hops, []);
  await network.close();
});
