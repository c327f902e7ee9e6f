/** Five sites as processes, that are frozen, killed and cut off, and how long calls over them take meanwhile. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { type Answer, createStranger, type Stranger } from '@waybill/test-harness/collector-stranger.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { hasNotRun } from '../messages.ts';
import type { SiteProcess } from './site-process.fixture.ts';

export const IDS = ['a', 'b', 'c', 'd', 'e'];
/** The one that faults are of, and the others. */
export const FAULTY = 'e';
export const OTHERS = IDS.filter((id) => id !== FAULTY);
/** In `details.code` of a call that its client has given up. */
export const GIVEN_UP = 'given-up';
const NO_ANSWER: Omit<Answer, 'status'> = {
  output: null,
  executor_id: '',
  handled_by_collector_id: '',
  connection_id: '',
  shared_namespaces: [],
  target_collector_id: '',
};

export type Edge = readonly [from: number, to: number];
export const TOPOLOGIES: Record<'ring' | 'star' | 'full', Edge[]> = {
  ring: IDS.map((_id, index) => [index, (index + 1) % IDS.length]),
  star: [1, 2, 3, 4].map((leaf) => [0, leaf]),
  full: IDS.flatMap((_id, from) => IDS.map((_id, to): Edge => [from, to]).filter(([a, b]) => a < b)),
};

export type FiveProcesses = {
  /** Calls the method of `target` at `origin`; resolves with the answer and how long it took, in ms. */
  call(origin: string, target: string, deadlineMs?: number): Promise<{ answer: Answer; ms: number }>;
  /** Resolves once every site has run a call of every other, with how long that took, in ms. */
  whole(timeoutMs: number): Promise<number>;
  /** The faulty one. */
  freeze(): void;
  thaw(): void;
  kill(): Promise<void>;
  /** Starts it again, told of no peer. */
  restart(): Promise<void>;
  /** Drops every byte to and from it. */
  cutOff(): void;
  mend(): void;
  /** How often each call has run. */
  runs(): number[];
  close(): Promise<void>;
};

export async function startFiveProcesses(edges: readonly Edge[]): Promise<FiveProcesses> {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-five-sites-'));
  const runsFile = join(folder, 'runs');
  const ports = await Promise.all(IDS.map(() => freePort()));
  const proxyTo = (port: number) => startTcpProxy({ target: `tcp://127.0.0.1:${port}` });
  /** What their peers reach them by, and what the faulty one reaches its peers by. */
  const [ins, outs] = [await Promise.all(ports.map(proxyTo)), await Promise.all(ports.map(proxyTo))];
  const at = ({ port }: TcpProxy) => `127.0.0.1:${port}`;
  const addresses = ins.map(at);
  const ways = Object.fromEntries(addresses.map((address, index) => [address, at(outs[index] as TcpProxy)]));
  const faulty = IDS.indexOf(FAULTY);
  const cut = [ins[faulty] as TcpProxy, ...outs];

  function start(index: number, peers: string[]): Promise<Service> {
    const id = IDS[index] as string;
    const given: SiteProcess = {
      ...{ id, port: ports[index] as number, address: addresses[index] as string, peers },
      ...{ ways: id === FAULTY ? ways : {}, connections: join(folder, `${id}.db`), runs: runsFile },
    };
    const main = 'packages/mesh/src/grpc/site-process.fixture.ts';
    return startService({ name: `site-${id}`, main, args: [JSON.stringify(given)] });
  }

  const peersOf = (index: number) =>
    edges.filter(([from]) => from === index).map(([, to]) => addresses[to] as string);
  const services = await Promise.all(IDS.map((_id, index) => start(index, peersOf(index))));
  const clients: Stranger[] = ports.map((port) => createStranger(`127.0.0.1:${port}`));
  let calls = 0;

  async function call(origin: string, target: string, deadlineMs = 60_000) {
    calls += 1;
    const service = { namespace: 'shared', service_name: 'Only' };
    const request = {
      namespace: 'shared',
      service,
      method_name: target,
      routing_hints: { call: `${calls}` },
    };
    const startedMs = performance.now();
    const client = clients[IDS.indexOf(origin)] as Stranger;
    const answer = await client.call('Dispatch', request, {}, deadlineMs).catch(givenUp);
    return { answer, ms: performance.now() - startedMs };
  }

  async function reach(origin: string, target: string): Promise<void> {
    const { answer } = await call(origin, target, 1_000);
    if (answer.handled_by_collector_id !== target)
      throw new Error(`${origin}>${target}: ${answer.status.message}`);
  }

  return {
    call,
    async whole(timeoutMs) {
      const startedMs = performance.now();
      for (const origin of IDS)
        for (const target of IDS) {
          const leftMs = timeoutMs - (performance.now() - startedMs);
          await eventually(() => reach(origin, target), { timeoutMs: leftMs });
        }
      return performance.now() - startedMs;
    },
    freeze: () => services[faulty]?.kill('SIGSTOP'),
    thaw: () => services[faulty]?.kill('SIGCONT'),
    async kill() {
      services[faulty]?.kill('SIGKILL');
      await services[faulty]?.exited;
    },
    async restart() {
      services[faulty] = await start(faulty, []);
    },
    cutOff: () => cut.forEach((proxy) => void proxy.setFault({ drop: 'both' })),
    mend: () => cut.forEach((proxy) => void proxy.setFault({})),
    runs() {
      const times = new Map<string, number>();
      for (const number of readFileSync(runsFile, 'utf8').split('\n').slice(0, -1))
        times.set(number, (times.get(number) ?? 0) + 1);
      return [...times.values()];
    },
    async close() {
      for (const client of clients) client.close();
      for (const service of services) service.kill('SIGKILL');
      await Promise.all(services.map(({ exited }) => exited));
      for (const proxy of [...ins, ...outs]) await proxy.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** What a client makes of a call that it has given up itself, as it does when a site is too slow to answer before. */
function givenUp({ code, details }: { code?: status; details?: string }): Answer {
  const message = details ?? '';
  const answer = {
    status: {
      code: 500,
      message,
      details: { code: code === status.DEADLINE_EXCEEDED ? GIVEN_UP : 'failed' },
    },
  };
  return { ...NO_ANSWER, ...answer };
}

/**
 * Calls of each site but the faulty one of each such, `rounds` times; how long each took, in ms. `isMeant`: which of them.
 *
 * @throws where one goes wrong.
 */
export async function callOthers(
  sites: FiveProcesses,
  rounds: number,
  isMeant: (origin: string, target: string) => boolean = () => true,
): Promise<number[]> {
  const took: number[] = [];
  const ofOne = async (origin: string) => {
    for (let round = 0; round < rounds; round += 1)
      for (const target of OTHERS.filter((target) => isMeant(origin, target))) {
        const { answer, ms } = await callSurely(sites, origin, target);
        if (answer.handled_by_collector_id !== target)
          throw new Error(`${origin}>${target}: ${answer.status.code} ${answer.status.message}`);
        took.push(ms);
      }
  };
  await Promise.all(OTHERS.map(ofOne));
  return took;
}

/** As often as it provably did not run: a site that is stalled by other work on the machine may be given up for a while. */
async function callSurely(sites: FiveProcesses, origin: string, target: string) {
  for (let tries = 1; ; tries += 1) {
    const called = await sites.call(origin, target);
    if (tries === MAX_TRIES || !hasNotRun(called.answer.status)) return called;
    await delay(PAUSE_MS);
  }
}

const MAX_TRIES = 200;

/** Between two calls of one site at the faulty one: what is answered at once must not become a load that others suffer from. */
const PAUSE_MS = 50;

/** Calls the faulty site from each other one until `until` has ended; how long each took. */
export async function callFaulty(sites: FiveProcesses, deadlineMs: number, until: Promise<unknown>) {
  const answers: { answer: Answer; ms: number }[] = [];
  let isOver = false;
  const end = until.finally(() => {
    isOver = true;
  });
  const ofOne = async (origin: string) => {
    while (!isOver) {
      answers.push(await sites.call(origin, FAULTY, deadlineMs));
      await delay(PAUSE_MS);
    }
  };
  await Promise.all([end, ...OTHERS.map(ofOne)]);
  return answers;
}

/** What 99 of 100 of `took` are below. */
export function p99(took: readonly number[]): number {
  return took.toSorted((x, y) => x - y)[Math.floor(took.length * 0.99)] ?? 0;
}
