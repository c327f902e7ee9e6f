/**
 * `npm run bench:overload`: what becomes of three times the load that listeners can do, for five minutes.
 * One listener of 16 events at a time and 20 ms each; clients wait 2 s at most, and are sent at an even rate whatever
 * becomes of those before. Peak is what 256 clients get that wait for each other. Timings differ between machines and
 * minutes: compare within one run.
 */
import autocannon from 'autocannon';
import { Agent } from 'undici';
import { brokerUrl } from './broker-url.ts';
import { describeMemory } from './describe-memory.ts';
import { quantile } from './statistics.ts';
import { startWaybill } from './waybill.ts';
import { PING } from './wrk.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 300);
const FACTOR = Number(process.env.BENCH_FACTOR ?? 3);
const WAIT_S = 2;
const PEAK_SECONDS = 10;
const REPORT_MS = 30_000;

const waybill = await startWaybill({
  amqpUrl: await brokerUrl(),
  listener: { program: 'bench/slow-listener.mjs', env: { CONCURRENCY: 16, LISTENER_MS: 20 } },
});
const url = waybill.urls.join();
const request = {
  method: /** @type {const} */ ('POST'),
  headers: { 'content-type': 'application/json', prefer: `wait=${WAIT_S}` },
  body: PING,
};

await autocannon({ ...request, url, connections: 256, duration: 3 });
const { '2xx': answered, duration } = await autocannon({
  ...{ ...request, url, connections: 256, duration: PEAK_SECONDS },
});
const peak = answered / duration;
console.log(`peak      ${peak.toFixed(0)} answers/s, ${describeMemory(waybill.processes)}`);

/** @type {{ status: number, ms: number }[]} */
let results = [];
/** @type {{ status: number, ms: number }[]} */
const all = [];
const agent = new Agent({ connections: 20_000 });
const startedMs = performance.now();
let sent = 0;
let reportMs = REPORT_MS;
while (performance.now() - startedMs < SECONDS * 1_000) {
  const dueMs = performance.now() - startedMs;
  while (sent < (dueMs / 1_000) * peak * FACTOR) send();
  if (dueMs >= reportMs) report(`${Math.round(reportMs / 1_000)} s`.padEnd(9), REPORT_MS / 1_000);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
results = all;
report('all      ', SECONDS);
process.exit(0);

async function send() {
  sent += 1;
  const sentMs = performance.now();
  const status = await agent
    .request({ ...request, origin: url, path: '/' })
    .then(async ({ statusCode, body }) => {
      await body.dump();
      return statusCode;
    })
    .catch(() => 0);
  const result = { status, ms: performance.now() - sentMs };
  results.push(result);
  all.push(result);
}

/**
 * @param {string} when
 * @param {number} seconds
 */
function report(when, seconds) {
  const good = results.filter(({ status, ms }) => status === 200 && ms <= WAIT_S * 1_000);
  const refused = results.filter(({ status }) => status === 503);
  const others = results.length - good.length - refused.length;
  console.log(
    `${when} ${(good.length / seconds).toFixed(0)} answers/s in time (${((good.length / seconds / peak) * 100).toFixed(0)}% of peak), ` +
      `${(refused.length / seconds).toFixed(0)} refused/s (p50 ${quantileMs(refused, 0.5)} ms, p99 ${quantileMs(refused, 0.99)} ms), ` +
      `${(others / seconds).toFixed(1)} others/s, ${describeMemory(waybill.processes)}`,
  );
  results = [];
  reportMs += REPORT_MS;
}

/**
 * @param {{ ms: number }[]} values
 * @param {number} part
 */
function quantileMs(values, part) {
  return quantile(
    values.map(({ ms }) => ms),
    part,
  ).toFixed(1);
}
