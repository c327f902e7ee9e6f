/**
 * The mesh by figures: whether calls reach the site that serves them, over five sites in a ring, a star and a full mesh (in one
 * process, over real gRPC on loopback), and what calls cost (`mesh-costs.ts`).
 *
 *     npm run bench:mesh -- --calls 10000     # --costs: only what calls cost; --faults: only what faults do
 */
import { parseArgs } from 'node:util';
import { type GrpcSite, startSite } from '../packages/mesh/src/grpc/grpc-mesh.fixture.ts';
import { dispatchRequest } from '../packages/mesh/src/mesh.fixture.ts';
import { inParallel } from './in-parallel.ts';
import { compareCosts } from './mesh-costs.ts';
import { measureFaults } from './mesh-faults.ts';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '10000' },
    costs: { type: 'boolean', default: false },
    faults: { type: 'boolean', default: false },
  },
});
const CALLS = Number(values.calls);
const IN_FLIGHT = 16;
const IDS = ['a', 'b', 'c', 'd', 'e'];
const EDGES = {
  ring: IDS.map((_id, index) => [index, (index + 1) % IDS.length]),
  star: [1, 2, 3, 4].map((leaf) => [0, leaf]),
  full: IDS.flatMap((_id, from) => IDS.map((_id, to) => [from, to]).filter(([, to]) => from < Number(to))),
};

const closers: (() => unknown)[] = [];
const owner = { after: (close: unknown) => void closers.push(close as () => unknown) };

if (values.faults) await measureFaults();
else {
  if (!values.costs) for (const [name, edges] of Object.entries(EDGES)) await callAll(name, edges);
  await compareCosts(Math.max(100, CALLS / 5));
}
for (const close of closers) await close();

/** Calls the methods of all sites at all sites, and counts where each has run. */
async function callAll(name: string, edges: number[][]): Promise<void> {
  const runs = new Map<string, string[]>();
  const sites = await Promise.all(IDS.map((id) => startSite(owner, id)));
  for (const [index, site] of sites.entries()) {
    const id = String(IDS[index]);
    site.registerService('shared', 'Only', id, ({ executionContext: { call = '' } }) => {
      runs.set(call, [...(runs.get(call) ?? []), id]);
      return null;
    });
  }
  for (const [from = 0, to = 0] of edges) await sites[from]?.connectTo(sites[to]?.address ?? '');
  const wrong: string[] = [];
  let right = 0;
  await inParallel(CALLS, IN_FLIGHT, async (n) => {
    const [origin, target] = [n % IDS.length, Math.floor(n / IDS.length) % IDS.length];
    const service = { namespace: 'shared', service_name: 'Only' };
    const method_name = String(IDS[target]);
    const request = dispatchRequest({ service, method_name, routing_hints: { call: String(n) } });
    const answer = await (sites[origin] as GrpcSite).dispatch(request, { deadlineMs: 60_000 });
    const ran = runs.get(String(n)) ?? [];
    if (answer.handled_by_collector_id === method_name && ran.join() === method_name) right += 1;
    else
      wrong.push(
        `from ${IDS[origin]} for ${method_name}: ran at [${ran}], answered ${JSON.stringify(answer.status)}`,
      );
  });
  console.log(`${name}: ${right} of ${CALLS} calls ran once, at the site that serves them`);
  for (const line of wrong) console.log(`  ${line}`);
  for (const site of sites) await site.close();
}
