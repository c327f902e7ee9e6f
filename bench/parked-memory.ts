import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Rabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { START_MS } from './expect-answer.ts';
import { rssBytes } from './process-usage.ts';
import type { BenchProcess } from './start-process.ts';
import { sum } from './statistics.ts';
import { withWaybill } from './with-waybill.ts';
import { PING, runLoad, WARM_UP } from './wrk.ts';

/** Longer than any measurement, so that what is parked stays parked, and its handler holds it. */
const NEVER_MS = 3_600_000;
/** So many more a second are sent: all at once would wait too long for a dispatcher, and be refused. */
const PARKED_PER_S = 500;
const SAMPLE_MS = 200;

/** Parks so many requests at once in a Waybill of its own, and looks at what public-web holds; one row per count. */
export async function growthOfParked(options: {
  broker: Rabbitmq;
  seconds: number;
  counts: readonly number[];
}): Promise<Record<string, number>[]> {
  const rows: Record<string, number>[] = [];
  for (const count of options.counts) rows.push({ step: count, ...(await park(count, options)) });
  return rows;
}

function park(
  count: number,
  { broker, seconds }: { broker: Rabbitmq; seconds: number },
): Promise<Record<string, number>> {
  const listener = { program: 'bench/slow-listener.mjs', env: { LISTENER_MS: NEVER_MS } };
  const publicWebEnv = {
    DEADLINE_MS: NEVER_MS,
    MAX_PARKED: count * 2,
    MAX_CONNECTIONS: count * 2,
  };
  return withWaybill({ broker, listener, publicWebEnv }, async ({ urls, publicWebs }) => {
    const [url = ''] = urls;
    const [{ pid }] = publicWebs as [BenchProcess];
    await eventually(() => expectParking(url), { timeoutMs: START_MS });
    await runLoad({ url, connections: Math.min(count, WARM_UP.connections), seconds: 1 });
    const before = rssBytes(pid);
    const load = parkGradually({ url, count, seconds });
    const highest = await highestUntil(load, () => rssBytes(pid));
    const outcomes = await load;
    return {
      // No answer is right.
      errors: sum(outcomes.map(({ requests, errors }) => requests + errors)),
      'MB before': before / 1024 ** 2,
      'MB at most': highest / 1024 ** 2,
      'kB per request': (highest - before) / count / 1024,
    };
  });
}

/** The listener is there when a client waits in vain; before, its event has no route or is refused. */
async function expectParking(url: string): Promise<void> {
  const headers = { 'content-type': 'application/json', prefer: 'wait=1' };
  const { status } = await fetch(url, { method: 'POST', headers, body: PING });
  if (status !== 504) throw new Error(`parks nothing: answered ${status}`);
}

/** All of them are parked for the last so many seconds. */
function parkGradually({ url, count, seconds }: { url: string; count: number; seconds: number }) {
  const groups = Math.ceil(count / PARKED_PER_S);
  const loads = Array.from({ length: groups }, async (_, group) => {
    await delay(group * 1_000);
    const connections = Math.min(PARKED_PER_S, count - group * PARKED_PER_S);
    return runLoad({ url, connections, seconds: seconds + groups - group });
  });
  return Promise.all(loads);
}

async function highestUntil(end: Promise<unknown>, sample: () => number): Promise<number> {
  const samples: number[] = [];
  let isOver = false;
  const over = end.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    samples.push(sample());
    await Promise.race([over, delay(SAMPLE_MS)]);
  }
  return Math.max(...samples);
}
