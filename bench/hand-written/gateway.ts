/**
 * The public tier of the hand-written RPC: `node bench/hand-written/gateway.ts transient|durable|confirmed`, with
 * AMQP_URL. Without confirms replies come by RabbitMQ's direct reply-to, with them by a quorum queue of this process.
 * No deadline, no retry, no check of what comes.
 */
import { randomUUID } from 'node:crypto';
import { fastify } from 'fastify';
import { guaranteeOfArgument } from './guarantees.ts';
import { listenAndTell } from './listen-and-tell.ts';
import { openChannel } from './open-channel.ts';

const guarantee = guaranteeOfArgument();
const { channel, publish } = await openChannel(guarantee);
const waiting = new Map<string, (answer: Buffer) => void>();
const replyTo = guarantee.isConfirmed ? await makeReplyQueue() : 'amq.rabbitmq.reply-to';
await channel.consume(
  replyTo,
  (message) => {
    if (!message) return;
    waiting.get(message.properties.correlationId)?.(message.content);
    if (guarantee.isConfirmed) channel.ack(message);
  },
  { noAck: !guarantee.isConfirmed },
);

const app = fastify();
app.post('/', async (request, reply) => {
  const correlationId = randomUUID();
  const answered = new Promise<Buffer>((resolve) => waiting.set(correlationId, resolve));
  await publish(guarantee.requests.queue, Buffer.from(JSON.stringify(request.body)), {
    correlationId,
    replyTo,
  });
  const answer = await answered;
  waiting.delete(correlationId);
  return reply.type('application/json').send(answer);
});
await listenAndTell(app);

async function makeReplyQueue(): Promise<string> {
  const queue = `${guarantee.requests.queue}.replies.${randomUUID()}`;
  await channel.assertQueue(queue, guarantee.requests.options);
  return queue;
}
