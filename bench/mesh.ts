/**
 * The mesh by figures: whether calls reach the site that serves them, over five sites in a ring, a star and a full mesh, and what
 * a hop costs beside a bare unary call of grpc-js. All in one process, over real gRPC on loopback, by the processor time that a
 * call takes, which other work on the machine changes little.
 *
 *     npm run bench:mesh -- --calls 10000     # --costs: only what a hop costs; --faults: only what faults do
 */
import { parseArgs } from 'node:util';
import { Client, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { type GrpcSite, startSite } from '../packages/mesh/src/grpc/grpc-mesh.fixture.ts';
import { dispatchRequest } from '../packages/mesh/src/mesh.fixture.ts';
import { createStranger } from '../packages/test-harness/src/collector-stranger.ts';
import { startTcpProxy } from '../packages/test-harness/src/tcp-proxy.ts';
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
  await compareCosts();
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
  let right = 0;
  await inParallel(CALLS, async (n) => {
    const [origin, target] = [n % IDS.length, Math.floor(n / IDS.length) % IDS.length];
    const service = { namespace: 'shared', service_name: 'Only' };
    const method_name = String(IDS[target]);
    const request = dispatchRequest({ service, method_name, routing_hints: { call: String(n) } });
    const answer = await (sites[origin] as GrpcSite).dispatch(request, { deadlineMs: 60_000 });
    const ran = runs.get(String(n)) ?? [];
    if (answer.handled_by_collector_id === method_name && ran.join() === method_name) right += 1;
  });
  console.log(`${name}: ${right} of ${CALLS} calls ran once, at the site that serves them`);
  for (const site of sites) await site.close();
}

async function compareCosts(): Promise<void> {
  const [a, b] = [await startSite(owner, 'near'), await startSite(owner, 'far')];
  const input = { type_url: 't', value: Buffer.alloc(100) };
  a.registerService('shared', 'Echo', 'Near', () => input);
  b.registerService('shared', 'Echo', 'Far', () => input);
  await a.connectTo(b.address);
  const stranger = createStranger(a.address);
  const bare = await startBare();
  const service = { namespace: 'shared', service_name: 'Echo' };
  const dispatch = (method_name: string) =>
    stranger.call('Dispatch', { namespace: 'shared', service, method_name, input });
  const ways = { bare: bare.call, local: () => dispatch('Near'), remote: () => dispatch('Far') };
  const costs: Record<string, number[]> = { bare: [], local: [], remote: [] };
  // In turns, so that whatever else the machine does meets all of them; the first is a warm-up.
  for (let round = 0; round < 6; round += 1)
    for (const [name, call] of Object.entries(ways)) {
      const cost = await cpuPerCall(call);
      if (round > 0) costs[name]?.push(cost);
    }
  const [own = 0, local = 0, remote = 0] = Object.values(costs).map(median);
  console.log(`bare unary call of grpc-js ${own.toFixed(0)} µs of CPU, client and server together`);
  console.log(
    `a call served where it is called ${local.toFixed(0)} µs, at another site ${remote.toFixed(0)} µs`,
  );
  console.log(
    `a hop adds ${(remote - local).toFixed(0)} µs: ${((remote - local) / own).toFixed(2)} bare calls`,
  );
  stranger.close();
  await bare.close();
}

async function cpuPerCall(call: () => Promise<unknown>): Promise<number> {
  const calls = Math.max(200, CALLS / 5);
  const before = process.cpuUsage();
  await inParallel(calls, call);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

async function inParallel(count: number, run: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

function median(numbers: number[]): number {
  return numbers.toSorted((x, y) => x - y)[Math.floor(numbers.length / 2)] ?? 0;
}

/** A server and a client of grpc-js that echo 100 bytes as they are. */
async function startBare() {
  const asIs = (bytes: Buffer) => bytes;
  const codec = {
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  const path = '/bare.Echo/Say';
  const server = new Server();
  server.addService(
    { Say: { path, requestStream: false, responseStream: false, ...codec } },
    {
      Say: (call: { request: Buffer }, callback: (error: null, answer: Buffer) => void) =>
        callback(null, call.request),
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  // As sites are in these tests.
  const proxy = await startTcpProxy({ target: `tcp://127.0.0.1:${port}` });
  const client = new Client(`127.0.0.1:${proxy.port}`, credentials.createInsecure());
  const bytes = Buffer.alloc(100);
  return {
    call: () =>
      new Promise((resolve, reject) => {
        const options = { deadline: Date.now() + 60_000 };
        client.makeUnaryRequest(path, asIs, asIs, bytes, new Metadata(), options, (error, answer) =>
          error ? reject(error) : resolve(answer),
        );
      }),
    async close() {
      client.close();
      server.forceShutdown();
      await proxy.close();
    },
  };
}
