/**
 * `AMQP_URL=… npm run bench`: pings per second through the three tiers, beside a hand-written direct reply-to RPC on
 * the same broker, in turns, at 1, 64 and 256 connections. Timings differ between machines and minutes: compare the
 * columns of one run.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import autocannon from 'autocannon';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const { AMQP_URL } = process.env;
if (!AMQP_URL) {
  console.error('AMQP_URL is not set: name the broker to measure on');
  process.exit(1);
}

const INTERNAL_SECRETS = randomBytes(32).toString('base64url');
/** @type {import('node:child_process').ChildProcess[]} */
const children = [];
process.on('exit', () => {
  for (const child of children) child.kill();
});

const preload = ['--import', '@waybill/common/telemetry'];
await start([...preload, 'packages/dispatcher/src/main.ts'], { PORT: 18082, HEALTH_PORT: 18083 });
await start([...preload, 'packages/ping-listener/src/main.ts'], { HEALTH_PORT: 18084 });
await start([...preload, 'packages/public-web/src/main.ts'], {
  PORT: 18080,
  INTERNAL_PORT: 18081,
  DISPATCHER_URLS: 'http://127.0.0.1:18082',
});
await start(['bench/direct-reply-rpc.mjs', 'worker'], {});
await start(['bench/direct-reply-rpc.mjs', 'gateway'], { PORT: 18090 });

const subjects = { waybill: 'http://127.0.0.1:18080/', 'direct reply-to': 'http://127.0.0.1:18090/' };
for (const url of Object.values(subjects)) await measure(url, 16, 3);
for (const connections of [1, 64, 256]) {
  /** @type {Record<string, { rate: number, p50: number, p99: number, errors: number }[]>} */
  const rounds = { waybill: [], 'direct reply-to': [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, url] of Object.entries(subjects))
      rounds[name]?.push(await measure(url, connections, SECONDS));
  }
  for (const [name, results] of Object.entries(rounds)) {
    const [rate, p50, p99] = [median(results, 'rate'), median(results, 'p50'), median(results, 'p99')];
    const errors = results.reduce((sum, result) => sum + result.errors, 0);
    console.log(
      `${String(connections).padStart(3)} connections  ${name.padEnd(16)} ${String(Math.round(rate)).padStart(6)} req/s` +
        `  p50 ${p50} ms  p99 ${p99} ms  errors ${errors}`,
    );
  }
}
process.exit(0);

/**
 * @param {string[]} args
 * @param {Record<string, string | number>} env
 */
async function start(args, env) {
  const child = spawn(process.execPath, args, {
    env: {
      ...process.env,
      INTERNAL_SECRETS,
      ...Object.fromEntries(Object.entries(env).map(([k, v]) => [k, String(v)])),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const chunk of child.stdout) if (String(chunk).includes('"msg":"listening"')) break;
  child.stdout.resume();
  if (child.exitCode !== null) throw new Error(`${args.at(-1)} did not start`);
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
    body: JSON.stringify({ type: 'PingRequest', data: { sentAt: 1 } }),
  });
  const errors = result.errors + result.non2xx;
  return { rate: result.requests.average, p50: result.latency.p50, p99: result.latency.p99, errors };
}

/**
 * @param {Record<string, number>[]} results
 * @param {string} key
 */
function median(results, key) {
  const values = results.map((result) => Number(result[key])).sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)] ?? Number.NaN;
}
