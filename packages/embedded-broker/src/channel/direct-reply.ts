/**
 * Direct reply-to (https://www.rabbitmq.com/docs/direct-reply-to): a requester consumes the pseudo-queue
 * `amq.rabbitmq.reply-to` without acks and publishes with it as `reply_to`; the responder sees an address of its own
 * in its place, and what it publishes there goes straight to the requester's channel.
 */
import { randomUUID } from 'node:crypto';
import { AmqpError } from '../amqp-error.ts';
import type { Fields } from '../codec/spec.ts';
import type { Channel } from './channel.ts';

export const REPLY_TO = 'amq.rabbitmq.reply-to';

export function isReplyAddress(name: string): boolean {
  return name === REPLY_TO || name.startsWith(`${REPLY_TO}.`);
}

/** Begins to consume replies. Throws `PRECONDITION_FAILED` where acks are wanted, or for a second consumer. */
export function consumeReplies(
  channel: Channel,
  tag: string,
  { noAck, noWait }: Fields<'basic.consume'>,
): void {
  if (!noAck) throw new AmqpError('PRECONDITION_FAILED', 'reply consumer cannot acknowledge');
  if (channel.replyConsumer) throw new AmqpError('PRECONDITION_FAILED', 'reply consumer already set');
  const address = `${REPLY_TO}.${randomUUID()}`;
  channel.replyConsumer = { tag, address };
  channel.vhost.replyConsumers.set(address, ({ exchange, routingKey, properties, body }) =>
    channel.sendMessage(
      'basic.deliver',
      {
        consumerTag: tag,
        deliveryTag: channel.deliveries.nextTag(),
        redelivered: false,
        exchange,
        routingKey,
      },
      { properties, body },
    ),
  );
  if (!noWait) channel.send('basic.consume-ok', { consumerTag: tag });
}

/** Whether `tag` was that of the reply consumer, which is no more then. */
export function cancelReplies(channel: Channel, tag: string): boolean {
  if (channel.replyConsumer?.tag !== tag) return false;
  channel.vhost.replyConsumers.delete(channel.replyConsumer.address);
  channel.replyConsumer = undefined;
  return true;
}

/** What stands in a request for the pseudo-queue's name. Throws `PRECONDITION_FAILED` if nobody consumes it. */
export function replyAddressOf(channel: Channel): string {
  if (!channel.replyConsumer)
    throw new AmqpError('PRECONDITION_FAILED', 'fast reply consumer does not exist');
  return channel.replyConsumer.address;
}
