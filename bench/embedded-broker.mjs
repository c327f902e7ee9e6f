/**
 * `npm run bench:embedded-broker`: round trips per second through the embedded broker, between two amqplib processes
 * and durable queues, every message persistent and confirmed, with 1 and with 64 under way. Timings differ between
 * machines and minutes.
 */
import { createEmbeddedBroker } from '@waybill/embedded-broker/create-embedded-broker.ts';
import { connect } from 'amqplib';
import { startProcess } from './start-process.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const AMQP_PORT = 18672;
const REQUESTS = 'bench.requests';
const REPLIES = 'bench.replies';
const durable = { durable: true, arguments: { 'x-queue-type': 'quorum' } };

const [, thisFile = '', role] = process.argv;
if (role === 'broker') await serve();
else if (role === 'echo') await echo();
else await measure();

async function measure() {
  for (const name of ['broker', 'echo']) await startProcess({ name, program: thisFile, args: [name] });
  const channel = await openChannel();
  /** @type {Map<string, () => void>} */
  const waiting = new Map();
  await channel.consume(REPLIES, (message) => {
    if (!message) return;
    channel.ack(message);
    waiting.get(message.properties.correlationId)?.();
  });
  for (const underWay of [1, 64]) {
    const endMs = performance.now() + SECONDS * 1_000;
    const counts = await Promise.all(
      Array.from({ length: underWay }, async (_, index) => {
        let trips = 0;
        for (; performance.now() < endMs; trips += 1) {
          const back = new Promise((resolve) => waiting.set(String(index), () => resolve(undefined)));
          await Promise.all([send(channel, REQUESTS, String(index)), back]);
        }
        return trips;
      }),
    );
    const trips = counts.reduce((sum, count) => sum + count);
    console.log(`${String(underWay).padStart(2)} under way  ${Math.round(trips / SECONDS)} round trips/s`);
  }
  process.exit(0);
}

async function serve() {
  await createEmbeddedBroker({ port: AMQP_PORT });
  console.log(JSON.stringify({ msg: 'listening' }));
}

async function echo() {
  const channel = await openChannel();
  await channel.consume(REQUESTS, async (message) => {
    if (!message) return;
    await send(channel, REPLIES, message.properties.correlationId);
    channel.ack(message);
  });
  process.on('SIGTERM', () => process.exit(0));
  console.log(JSON.stringify({ msg: 'listening' }));
}

async function openChannel() {
  const connection = await connect(`amqp://127.0.0.1:${AMQP_PORT}`, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  for (const queue of [REQUESTS, REPLIES]) await channel.assertQueue(queue, durable);
  await channel.prefetch(256);
  return channel;
}

/**
 * Resolves when the broker has confirmed it.
 *
 * @param {import('amqplib').ConfirmChannel} channel
 * @param {string} queue
 * @param {string} correlationId
 * @returns {Promise<void>}
 */
function send(channel, queue, correlationId) {
  return new Promise((resolve, reject) => {
    const body = Buffer.alloc(200);
    const options = { persistent: true, correlationId };
    channel.sendToQueue(queue, body, options, (error) => (error ? reject(error) : resolve()));
  });
}
