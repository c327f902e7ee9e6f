/**
 * What a call of the mesh costs, in processor time of all processes that serve it, the broker's among them: one that its own site
 * serves beside a plain event of the same listener over HTTP; and a hop, by a method that public-web itself answers, here and at
 * the other site, beside a bare unary call of grpc-js, client and server, with the messages of the contract. Two whole systems, as
 * `npm start` runs them, are the sites. All are asked in turns with as many calls in flight, so that whatever else the machine
 * does meets all of them.
 */
import { randomUUID } from 'node:crypto';
import { createStranger, type Stranger } from '@waybill/test-harness/collector-stranger.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { Pool } from 'undici';
import { stringValue } from '../packages/tools/src/string-value.ts';
import { START_MS } from './expect-answer.ts';
import { inParallel } from './in-parallel.ts';
import { cpuUs } from './process-usage.ts';
import { startBroker } from './start-broker.ts';
import { type BenchProcess, startProcess } from './start-process.ts';
import { median, sum } from './statistics.ts';
import type { Waybill } from './waybill.ts';
import { withWaybill } from './with-waybill.ts';

const IN_FLIGHT = 64;
/** The first is a warm-up. */
const ROUNDS = 6;
const TYPE_URL = `type.googleapis.com/${stringValue.name}`;
const INPUT = stringValue.encode('x'.repeat(100));

/** One way to have a handler run. */
type Way = {
  name: string;
  call(): Promise<unknown>;
  /** Whose processor time it takes. */
  processes: { name: string; pid: number }[];
};

/** Prints what each way costs, by `calls` calls of each in every round. */
export async function compareCosts(calls: number): Promise<void> {
  const broker = await startBroker();
  const [near, far] = [await siteSettings('near'), await siteSettings('far')];
  const nearListener = { program: 'packages/tools/src/demo-mesh/greeter.ts' };
  const farListener = { program: 'packages/tools/src/demo-mesh/shouter.ts' };
  await withWaybill({ broker, listener: nearListener, publicWebEnv: near }, (nearSystem) =>
    withWaybill({ broker, listener: farListener, publicWebEnv: far }, async (farSystem) => {
      const bare = await startProcess({ name: 'bare', program: 'bench/bare-collector.ts' });
      const clients = [createStranger(near.MESH_ADDRESS), createStranger(`127.0.0.1:${bare.port}`)] as const;
      const pool = new Pool(String(nearSystem.urls[0]), { connections: IN_FLIGHT });
      const systems = { near: nearSystem, far: farSystem, bare, broker };
      const ways = waysOver({ ...systems, clients, pool });
      await clients[0].call('Connect', { address: far.MESH_ADDRESS, namespaces: ['acme'] });
      for (const { call } of ways) await eventually(call, { timeoutMs: START_MS });
      report(await measureInTurns(ways, calls));
      await pool.close();
      for (const client of clients) client.close();
      await bare.kill();
    }),
  );
  await broker.stop();
}

async function siteSettings(id: string) {
  const port = await freePort();
  return {
    MESH_ID: id,
    MESH_ADDRESS: `127.0.0.1:${port}`,
    MESH_NAMESPACES: 'acme',
    GRPC_PORT: port,
    PUBLIC_EVENT_TYPES: 'acme.*',
  };
}

function waysOver({
  near,
  far,
  bare,
  broker,
  clients: [client, bareClient],
  pool,
}: {
  near: Waybill;
  far: Waybill;
  bare: BenchProcess;
  broker: { pid: number };
  clients: readonly [Stranger, Stranger];
  pool: Pool;
}): Way[] {
  const own = [...near.processes, { name: 'broker', pid: broker.pid }];
  const asFar = ({ name, pid }: BenchProcess) => ({ name: `far ${name}`, pid });
  const both = [...own, ...far.processes.map(asFar)];
  // The others have nothing to do with what public-web answers itself, and what they take when idle is more than nothing.
  const publicWebs = [...near.publicWebs, ...far.publicWebs.map(asFar)];
  // The client of a bare call is one that is measured; elsewhere it is nobody's cost.
  const ofBare = [bare, { name: 'client', pid: process.pid }];
  const greet = { method: 'acme.Greeter.Greet' };
  const shout = { method: 'acme.Shouter.Shout' };
  const describe = { method: 'waybill.Mesh.Describe' };
  return [
    { name: 'event', call: () => sendEvent(pool), processes: own },
    { name: 'Serve', call: () => serve(client, 'Serve', greet), processes: own },
    { name: 'local', call: () => serve(client, 'Dispatch', greet), processes: own },
    { name: 'remote', call: () => serve(client, 'Dispatch', { ...shout, target: 'far' }), processes: both },
    { name: 'sought', call: () => serve(client, 'Dispatch', shout), processes: both },
    {
      name: 'here',
      call: () => serve(client, 'Dispatch', { ...describe, target: 'near' }),
      processes: publicWebs,
    },
    {
      name: 'there',
      call: () => serve(client, 'Dispatch', { ...describe, target: 'far' }),
      processes: publicWebs,
    },
    { name: 'bare', call: () => serve(bareClient, 'Serve', shout), processes: ofBare },
  ];
}

/** @throws unless the listener's reply comes. */
async function sendEvent(pool: Pool): Promise<void> {
  const event = {
    ...{ specversion: '1.0', id: randomUUID(), source: '/bench', type: 'acme.Greeter.Greet' },
    datacontenttype: 'application/protobuf',
    data_base64: Buffer.from(INPUT).toString('base64'),
    typeurl: TYPE_URL,
  };
  const { statusCode, body } = await pool.request({
    method: 'POST',
    path: '/events',
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify(event),
  });
  const reply = await body.text();
  if (statusCode !== 200) throw new Error(`${statusCode} ${reply}`);
}

/** @throws unless it is answered with 200. */
async function serve(
  client: Stranger,
  call: 'Serve' | 'Dispatch',
  { method, target = '' }: { method: string; target?: string },
): Promise<void> {
  const [namespace, service_name, method_name] = method.split('.');
  const { status } = await client.call(call, {
    ...{ namespace, service: { namespace, service_name }, method_name },
    ...{ input: { type_url: TYPE_URL, value: INPUT }, target_collector_id: target },
  });
  if (status.code !== 200) throw new Error(`${status.code} ${status.message}`);
}

/** Microseconds per call of each process, of each round. */
type Costs = Map<string, Record<string, number>[]>;

async function measureInTurns(ways: readonly Way[], calls: number): Promise<Costs> {
  const costs: Costs = new Map(ways.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const { name, call, processes } of ways) {
      const used = () => processes.map(({ pid }) => cpuUs(pid));
      const before = used();
      await inParallel(calls, IN_FLIGHT, call);
      const cost = used().map((us, index) => [processes[index]?.name, (us - (before[index] ?? 0)) / calls]);
      if (round > 0) costs.get(name)?.push(Object.fromEntries(cost));
    }
  return costs;
}

function report(costs: Costs): void {
  const roundsOf = (name: string) => (costs.get(name) ?? []).map((cost) => sum(Object.values(cost)));
  /** The median over the rounds, as what is compared was measured one right after the other in each. */
  const over = (combine: (round: number) => number) =>
    median(roundsOf('bare').map((_us, round) => combine(round)));
  const at = (name: string) => (round: number) => roundsOf(name)[round] ?? Number.NaN;
  for (const [name, rounds] of costs) {
    const parts = Object.keys(rounds[0] ?? {}).map((part) => {
      const us = median(rounds.map((cost) => cost[part] ?? Number.NaN));
      return `${part} ${us.toFixed(0)}`;
    });
    console.log(
      `${name.padEnd(6)} ${over(at(name)).toFixed(0).padStart(5)} µs of CPU  (${parts.join(', ')})`,
    );
  }
  const ratio = (name: string) => over((round) => at(name)(round) / at('event')(round)).toFixed(2);
  const hop = (round: number) => at('there')(round) - at('here')(round);
  const bareCalls = over((round) => hop(round) / at('bare')(round)).toFixed(2);
  console.log(`a local call is ${ratio('local')} plain events (Serve: ${ratio('Serve')})`);
  console.log(`a hop adds ${over(hop).toFixed(0)} µs: ${bareCalls} bare unary calls of grpc-js`);
  const seek = (round: number) => at('sought')(round) - at('remote')(round);
  console.log(`finding out that it is not served here adds ${over(seek).toFixed(0)} µs`);
}
