/** The listener of the hand-written RPC: `node bench/hand-written/worker.ts transient|durable|confirmed`, with AMQP_URL. */
import { guaranteeOfArgument } from './guarantees.ts';
import { openChannel } from './open-channel.ts';

const guarantee = guaranteeOfArgument();
const { channel, publish } = await openChannel(guarantee);

await channel.consume(
  guarantee.requests.queue,
  async (message) => {
    if (!message) return;
    const { data } = JSON.parse(message.content.toString());
    const answer = { type: 'PingResponse', data: { ...data, receivedAt: Date.now() } };
    const { replyTo, correlationId } = message.properties;
    await publish(replyTo, Buffer.from(JSON.stringify(answer)), { correlationId });
    if (guarantee.isDurable) channel.ack(message);
  },
  { noAck: !guarantee.isDurable },
);
console.log(JSON.stringify({ msg: 'listening' }));
