/**
 * The clients, on a thread of their own: the proxies' work must not count as theirs. Pings go out at an even rate,
 * whatever becomes of those before; on `stop` no more, and when all are done the operations are posted.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import { Agent } from 'undici';
import { fromAnswer, fromError, type Operation } from './operation.ts';
import { createRandom } from './random.ts';

/** What the thread is started with; `isPatient`: everybody waits until the deadline. */
export type LoadOptions = {
  urls: string[];
  ratePerS: number;
  seed: number;
  deadlineMs: number;
  isPatient?: boolean;
};
/** What it posts at its end; `maxLagMs` is by how much its own event loop was late at worst. */
export type LoadResult = { operations: Operation[]; maxLagMs: number };

const { urls, ratePerS, seed, deadlineMs, isPatient = false } = workerData as LoadOptions;
const TICK_MS = 10;
/** Every fifth client waits only this long, unless all are patient. */
const SHORT_WAIT_S = 2;
/** An answer that is later than this is none. */
const GIVE_UP_MS = deadlineMs + 60_000;

const random = createRandom(seed);
const agent = new Agent({ headersTimeout: GIVE_UP_MS, bodyTimeout: GIVE_UP_MS, connect: { timeout: 5_000 } });
const underWay = new Set<Promise<void>>();
const operations: Operation[] = [];
const loop = monitorEventLoopDelay({ resolution: 10 });
loop.enable();

const startedMs = performance.now();
let sent = 0;
const timer = setInterval(() => {
  const due = ((performance.now() - startedMs) * ratePerS) / 1_000;
  while (sent < due) send();
}, TICK_MS);

parentPort?.once('message', async () => {
  clearInterval(timer);
  await Promise.all(underWay);
  const result: LoadResult = { operations, maxLagMs: Math.round(loop.max / 1e6) };
  parentPort?.postMessage(result);
  await agent.destroy();
});

function send(): void {
  sent += 1;
  const done = ping(sent % urls.length, sent);
  underWay.add(done);
  void done.then(() => underWay.delete(done));
}

async function ping(publicWeb: number, sentAt: number): Promise<void> {
  const id = `ping-${seed}-${sentAt}`;
  const isShort = !isPatient && random.between(1, 5) === 1;
  const startMs = Date.now();
  const started = performance.now();
  const result = await post(publicWeb, { id, sentAt }, isShort).catch(fromError);
  operations.push({
    id,
    publicWeb,
    startMs,
    waitMs: performance.now() - started,
    deadlineMs: isShort ? SHORT_WAIT_S * 1_000 : deadlineMs,
    ...result,
  });
}

async function post(publicWeb: number, ping: { id: string; sentAt: number }, isShort: boolean) {
  const { statusCode, body } = await agent.request({
    origin: urls[publicWeb] as string,
    path: '/',
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(isShort ? { prefer: `wait=${SHORT_WAIT_S}` } : {}),
    },
    body: JSON.stringify({ id: ping.id, type: 'PingRequest', data: { sentAt: ping.sentAt } }),
  });
  return fromAnswer(statusCode, await body.text(), ping);
}
