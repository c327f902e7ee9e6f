/**
 * What Waybill is measured beside: the hand-written RPC over RabbitMQ's direct reply-to, two tiers, durable requests,
 * no confirms, no deadline, no retry. `node bench/direct-reply-rpc.mjs gateway|worker`, with AMQP_URL and PORT.
 */
import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import { fastify } from 'fastify';

const QUEUE = 'bench.direct-reply-rpc';
const REPLY_TO = 'amq.rabbitmq.reply-to';
const connection = await connect(process.env.AMQP_URL ?? 'amqp://127.0.0.1', { noDelay: true });
const channel = await connection.createChannel();
await channel.assertQueue(QUEUE, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
process.on('SIGTERM', () => process.exit(0));

if (process.argv[2] === 'worker') await work();
else await serve();
console.log(JSON.stringify({ msg: 'listening' }));

async function work() {
  await channel.prefetch(256);
  await channel.consume(QUEUE, (message) => {
    if (!message) return;
    const { data } = JSON.parse(message.content.toString());
    const answer = { type: 'PingResponse', data: { ...data, receivedAt: Date.now() } };
    const { replyTo, correlationId } = message.properties;
    channel.sendToQueue(replyTo, Buffer.from(JSON.stringify(answer)), { correlationId });
    channel.ack(message);
  });
}

async function serve() {
  /** @type {Map<string, (answer: Buffer) => void>} */
  const waiting = new Map();
  await channel.consume(
    REPLY_TO,
    (message) => {
      if (message) waiting.get(message.properties.correlationId)?.(message.content);
    },
    { noAck: true },
  );
  const app = fastify();
  app.post('/', async (request, reply) => {
    const correlationId = randomUUID();
    const body = Buffer.from(JSON.stringify(request.body));
    /** @type {Buffer} */
    const answer = await new Promise((resolve) => {
      waiting.set(correlationId, resolve);
      channel.sendToQueue(QUEUE, body, { persistent: true, correlationId, replyTo: REPLY_TO });
    });
    waiting.delete(correlationId);
    return reply.type('application/json').send(answer);
  });
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
}
