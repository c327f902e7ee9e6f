/**
 * `AMQP_URL=… npm run bench`: pings per second through the three tiers, beside a hand-written direct reply-to RPC on
 * the same broker, in turns, at 1, 64 and 256 connections, and public-web's memory before and after. Timings differ
 * between machines and minutes: compare the columns of one run.
 */
import autocannon from 'autocannon';
import { median, memory, preload, start } from './start-services.mjs';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const { AMQP_URL } = process.env;
if (!AMQP_URL) {
  console.error('AMQP_URL is not set: name the broker to measure on');
  process.exit(1);
}

await start([...preload, 'packages/dispatcher/src/main.ts'], { PORT: 18082, HEALTH_PORT: 18083 });
await start([...preload, 'packages/ping-listener/src/main.ts'], { HEALTH_PORT: 18084 });
const publicWeb = await start([...preload, 'packages/public-web/src/main.ts'], {
  PORT: 18080,
  HEALTH_PORT: 18088,
  INTERNAL_PORT: 18081,
  DISPATCHER_URLS: 'http://127.0.0.1:18082',
});
await start(['bench/direct-reply-rpc.mjs', 'worker'], {});
await start(['bench/direct-reply-rpc.mjs', 'gateway'], { PORT: 18090 });

const subjects = { waybill: 'http://127.0.0.1:18080/', 'direct reply-to': 'http://127.0.0.1:18090/' };
console.log(`before: ${memory({ 'public-web': publicWeb })}`);
for (const url of Object.values(subjects)) await measure(url, 16, 3);
for (const connections of [1, 64, 256]) {
  /** @type {Record<string, { rate: number, p50: number, p99: number, errors: number }[]>} */
  const rounds = { waybill: [], 'direct reply-to': [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, url] of Object.entries(subjects))
      rounds[name]?.push(await measure(url, connections, SECONDS));
  }
  for (const [name, results] of Object.entries(rounds)) {
    const rate = median(results.map((result) => result.rate));
    const p50 = median(results.map((result) => result.p50));
    const p99 = median(results.map((result) => result.p99));
    const errors = results.reduce((sum, result) => sum + result.errors, 0);
    console.log(
      `${String(connections).padStart(3)} connections  ${name.padEnd(16)} ${String(Math.round(rate)).padStart(6)} req/s` +
        `  p50 ${p50} ms  p99 ${p99} ms  errors ${errors}`,
    );
  }
}
console.log(`after:  ${memory({ 'public-web': publicWeb })}`);
process.exit(0);

/**
 * @param {string} url
 * @param {number} connections
 * @param {number} seconds
 */
async function measure(url, connections, seconds) {
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'PingRequest', data: { sentAt: 1 } }),
  });
  const errors = result.errors + result.non2xx;
  return { rate: result.requests.average, p50: result.latency.p50, p99: result.latency.p99, errors };
}
