/** One run: start, load, faults, heal, recover, drain, look, stop. */
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { RunResult } from './check.ts';
import { startClientLoad } from './client-load.ts';
import { gatherEvidence, takeDeadLetters } from './evidence.ts';
import type { DatabaseName } from './faulty-database.ts';
import { type FaultySystem, startFaultySystem } from './faulty-system.ts';
import { type InjectedFault, injectAll } from './inject.ts';
import { startKeyedLoad } from './keyed-load.ts';
import { startLoad } from './load.ts';
import type { ScheduledFault } from './schedule.ts';
import { startStreamLoad } from './stream-load.ts';

/** How long after healing every public-web must answer again. The cap of reconnecting is 3 s. */
const RECOVER_MS = 20_000;
/** Pings in a row, of each deadline, that count as answering again. */
const STEADY_PINGS = 20;
/** The load goes on for so long after the recovery. */
const AFTERWARDS_MS = 2_000;
const QUIET_WITHIN_MS = 30_000;
/** A publisher and a subscriber of each. */
const CONNECTIONS_OF = /^(dispatcher|.*-listener)-/;

export type Run = RunResult & { system: FaultySystem };

/** Runs `schedule` against a fresh system under load; everything it started has ended when it resolves. */
export async function runSchedule(options: {
  schedule: readonly ScheduledFault[];
  seed: number;
  ratePerS: number;
  deadlineMs: number;
  /** Whether datasets are streamed besides. */
  hasStreams?: boolean;
  /** Whether there are clients that stay, and where their store keeps what is theirs. */
  clientsAt?: DatabaseName | undefined;
  /** Where the listeners' recordings go. */
  folder: string;
}): Promise<Run> {
  const { schedule, seed, ratePerS, deadlineMs, folder, hasStreams = false, clientsAt } = options;
  const system = await startFaultySystem({ folder, deadlineMs, hasStreams, clientsAt, hasOwnBroker: true });
  const injected: InjectedFault[] = [];
  try {
    const load = startLoad({ urls: system.urls, ratePerS, seed, deadlineMs });
    const { urls, clientsUrl, broker } = system;
    const streamLoad = clientsUrl && startStreamLoad({ urls, clientsUrl, amqpUrl: broker.url });
    const clientLoad = clientsAt && startClientLoad({ edges: system.edges, seed, deadlineMs });
    const edges = system.edges.map(({ url }) => url);
    const keyedLoad = clientsAt && startKeyedLoad({ urls: edges, seed, deadlineMs });
    await injectAll(schedule, system, injected);
    const healedMs = Date.now();
    const recoveredMs = await recovered(system.urls, [2_000, deadlineMs]);
    await delay(AFTERWARDS_MS);
    const { operations, maxLagMs } = await load.stop();
    const streams = streamLoad ? await streamLoad.stop() : [];
    const [clients = [], keyed = []] = await Promise.all([clientLoad?.stop(), keyedLoad?.stop()]);
    const leftInQueues = await drained(system);
    if (streamLoad) await streamLoad.close();
    const deadLetters = await takeDeadLetters(system.broker.url);
    const troubles = await connectionTroubles(system);
    await system.stop();
    troubles.push(...processTroubles(system));
    const evidence = gatherEvidence(system);
    const asked = { operations, streams, clients, keyed, maxLagMs };
    const result = { injected, leftInQueues, deadLetters, troubles, evidence };
    return { ...asked, ...result, healedMs, recoveredMs, system };
  } catch (error) {
    for (const { service } of system.processes.values()) service.kill('SIGKILL');
    // Which must not hide what went wrong.
    await system.broker.stop().catch(() => {});
    throw error;
  }
}

/**
 * Since when every public-web answers some pings in a row, of each of these deadlines, for what is refused depends on them:
 * when the first were answered. Undefined when that takes too long.
 */
export async function recovered(
  urls: string[],
  deadlinesMs: readonly number[] = [2_000],
): Promise<number | undefined> {
  const times = urls.map((url) =>
    eventually(
      async () => {
        const answerEach = async () => {
          for (const deadlineMs of deadlinesMs) await expectAnswer(url, deadlineMs);
        };
        await answerEach();
        const sinceMs = Date.now();
        for (let sent = 1; sent < STEADY_PINGS; sent++) await answerEach();
        return sinceMs;
      },
      { timeoutMs: RECOVER_MS },
    ),
  );
  const all = await Promise.all(times).catch(() => undefined);
  return all && Math.max(...all);
}

async function expectAnswer(url: string, deadlineMs: number): Promise<void> {
  const response = await fetch(`${url}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: `wait=${deadlineMs / 1_000}` },
    body: JSON.stringify({ type: 'PingRequest', data: { sentAt: 0 } }),
    signal: AbortSignal.timeout(5_000),
  });
  await response.text();
  if (response.status !== 200) throw new Error(`${response.status}`);
}

/**
 * What queues hold when they have had time to empty, by two looks, as depths are up to 200 ms old; dead letters are
 * looked at by themselves.
 */
export async function drained({ broker }: FaultySystem): Promise<Record<string, number>> {
  let left: Record<string, number> = {};
  let emptyLooks = 0;
  const look = async () => {
    left = Object.fromEntries(
      Object.entries(await broker.queues())
        .map(([name, { ready, unacked }]): [string, number] => [name, ready + unacked])
        .filter(([name, count]) => count > 0 && name !== 'waybill.dead-letters'),
    );
    emptyLooks = Object.keys(left).length > 0 ? 0 : emptyLooks + 1;
    if (emptyLooks < 2) throw new Error('not empty yet');
  };
  await eventually(look, { timeoutMs: QUIET_WITHIN_MS, intervalMs: 500 }).catch(() => {});
  return left;
}

/** In words, when the tiers do not come to have their connections to the broker, no more and no fewer, within 20 s. */
export async function connectionTroubles({ broker, processes }: FaultySystem): Promise<string[]> {
  const wanted = [...processes.keys()].filter((name) => CONNECTIONS_OF.test(name)).length * 2;
  let names: string[] = [];
  const look = async () => {
    names = (await broker.own().ctl('list_connections', '--no-table-headers', 'user', 'peer_port', 'state'))
      .split('\n')
      .filter((line) => line.startsWith('guest'));
    if (names.length !== wanted) throw new Error('not yet');
  };
  const isRight = await eventually(look, { timeoutMs: 20_000, intervalMs: 1_000 }).then(
    () => true,
    () => false,
  );
  return isRight ? [] : [`the broker has ${names.length} connections instead of ${wanted}`];
}

function processTroubles({ processes }: FaultySystem): string[] {
  const all = [...processes.values()];
  const alive = all.flatMap(({ name, services }) =>
    services.filter(({ pid }) => isAlive(pid)).map(({ pid }) => `${name} (process ${pid}) is still there`),
  );
  return [...all.flatMap(({ wrongExits }) => wrongExits), ...alive];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
