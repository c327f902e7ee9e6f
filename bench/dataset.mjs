/**
 * `npm run bench:dataset`: one dataset to one client's queue, from the request to the last confirm, beside two
 * bare loops that publish the very same bodies to a queue of the same kind: one waits for each confirm, the other for
 * all at the end. In turns; compare the ratios of one run.
 */
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { connect } from 'amqplib';
import { makePrivateKey, publicKeyOf } from '../bin/plain/sealing-keys.mjs';
import { brokerUrl } from './broker-url.ts';
import { startProcess, WAYBILL_PRELOAD } from './start-process.ts';
import { median } from './statistics.ts';
import { startWaybill } from './waybill.ts';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 7);
const amqpUrl = await brokerUrl();
const broker = new URL(amqpUrl);
const key = makePrivateKey();

const generator = await startProcess({
  name: 'dataset-generator',
  program: 'packages/dataset-generator/src/main.ts',
  preload: [WAYBILL_PRELOAD],
  env: { GRPC_PORT: 0, HEALTH_PORT: 0 },
});
const { urls, listeners } = await startWaybill({
  amqpUrl,
  listener: {
    program: 'packages/data-dispatch-listener/src/main.ts',
    env: {
      TCP_PORT: 0,
      DATASET_SERVICE_ADDR: `127.0.0.1:${generator.port}`,
      CREDENTIALS_PRIVATE_KEYS: JSON.stringify(key),
    },
  },
  publicWebEnv: { CREDENTIALS_PUBLIC_KEY: JSON.stringify(publicKeyOf(key)), CLIENT_BROKERS: broker.host },
});
const [listener] = /** @type {[import('./start-process.ts').BenchProcess]} */ (listeners);
const lines = createInterface({ input: listener.stdout });
const connection = await connect(
  {
    hostname: broker.hostname,
    port: Number(broker.port),
    username: broker.username,
    password: broker.password,
  },
  { noDelay: true },
);
const channel = await connection.createConfirmChannel();

// Warms up, and fetches the bodies.
const bodies = await viaWaybill().then(({ queue }) => takeAll(queue));
/** @type {Record<string, number[]>} */
const rates = { waybill: [], 'each confirmed': [], 'all at once': [] };
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, send] of Object.entries({
    waybill: viaWaybill,
    'each confirmed': () => viaLoop(true),
    'all at once': () => viaLoop(false),
  })) {
    const { queue, seconds } = await send();
    rates[name]?.push(bodies.length / seconds);
    await channel.deleteQueue(queue);
  }
}
const ours = median(rates.waybill ?? []);
for (const [name, values] of Object.entries(rates)) {
  const rate = median(values);
  console.log(
    `${name.padEnd(14)} ${String(Math.round(rate)).padStart(5)} batches/s` +
      `  waybill: ${(ours / rate).toFixed(2)}  (${values.map(Math.round).join(', ')})`,
  );
}
process.exit(0);

async function viaWaybill() {
  const clientId = randomUUID();
  const started = performance.now();
  const sent = lineThat((line) => line.includes('"dataset sent"') && line.includes(clientId));
  const response = await fetch(`${urls.join()}/clients`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_id: clientId,
      queue_name: clientId,
      amqp_host: broker.hostname,
      amqp_port: Number(broker.port),
      amqp_user: broker.username,
      amqp_pass: broker.password,
    }),
  });
  if (response.status !== 202) throw new Error(await response.text());
  await sent;
  return { queue: clientId, seconds: (performance.now() - started) / 1000 };
}

/** @param {boolean} isEachConfirmed */
async function viaLoop(isEachConfirmed) {
  const queue = randomUUID();
  const started = performance.now();
  await channel.assertQueue(queue, { durable: true });
  for (const body of bodies) {
    channel.sendToQueue(queue, body, { persistent: true, mandatory: true });
    if (isEachConfirmed) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
  return { queue, seconds: (performance.now() - started) / 1000 };
}

/** @param {(line: string) => boolean} isWanted */
function lineThat(isWanted) {
  return new Promise((resolve) => {
    const onLine = (/** @type {string} */ line) => {
      if (!isWanted(line)) return;
      lines.off('line', onLine);
      resolve(undefined);
    };
    lines.on('line', onLine);
  });
}

/** @param {string} queue */
async function takeAll(queue) {
  const contents = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (!message) break;
    contents.push(message.content);
  }
  await channel.deleteQueue(queue);
  return contents;
}
