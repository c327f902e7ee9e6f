/**
 * `npm run bench:load`: pings per second through the three tiers, beside a hand-written direct reply-to RPC on the same
 * broker (that of AMQP_URL, or one of its own), in turns, at 1, 64 and 256 connections, and public-web's memory before
 * and after. What `npm run bench` does in short, where wrk is not installed: the load comes from autocannon, whose CPU
 * the systems lack. Timings differ between machines and minutes: compare the columns of one run.
 */
import autocannon from 'autocannon';
import { brokerUrl } from './broker-url.ts';
import { describeMemory } from './describe-memory.ts';
import { answering } from './expect-answer.ts';
import { median, sum } from './statistics.ts';
import { SYSTEMS } from './systems.ts';
import { PING } from './wrk.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);

const amqpUrl = await brokerUrl();
const systems = await Promise.all(
  SYSTEMS.filter(({ name }) => ['waybill', 'two-tier-durable'].includes(name)).map(({ start }) =>
    start({ amqpUrl }),
  ),
);
await Promise.all(systems.map(answering));
const publicWebs = systems.flatMap(({ processes }) => processes).filter(({ name }) => name === 'public-web');
console.log(`before: ${describeMemory(publicWebs)}`);
for (const { urls } of systems) await measure(urls.join(), 16, 3);
for (const connections of [1, 64, 256]) {
  /** @type {Awaited<ReturnType<typeof measure>>[][]} */
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const results = [];
    for (const { urls } of systems) results.push(await measure(urls.join(), connections, SECONDS));
    rounds.push(results);
  }
  for (const [index, { name }] of systems.entries())
    report(
      name,
      connections,
      rounds.flatMap((round) => round[index] ?? []),
    );
}
console.log(`after:  ${describeMemory(publicWebs)}`);
process.exit(0);

/**
 * @param {string} name
 * @param {number} connections
 * @param {Awaited<ReturnType<typeof measure>>[]} results
 */
function report(name, connections, results) {
  const rate = median(results.map((result) => result.rate));
  const p50 = median(results.map((result) => result.p50));
  const p99 = median(results.map((result) => result.p99));
  const errors = sum(results.map((result) => result.errors));
  console.log(
    `${String(connections).padStart(3)} connections  ${name.padEnd(16)} ${String(Math.round(rate)).padStart(6)} req/s` +
      `  p50 ${p50} ms  p99 ${p99} ms  errors ${errors}`,
  );
}

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
    body: PING,
  });
  const errors = result.errors + result.non2xx;
  return { rate: result.requests.average, p50: result.latency.p50, p99: result.latency.p99, errors };
}
