import { randomUUID } from 'node:crypto';
import { AmqpError } from '../amqp-error.ts';
import type { Fields } from '../codec/spec.ts';
import { integerOf, type Table } from '../codec/table.ts';
import { deliveredProperties, type QueuedMessage } from '../message.ts';
import type { Consumer, Queue } from '../queue.ts';
import type { Channel, Handlers } from './channel.ts';
import { cancelReplies, consumeReplies, REPLY_TO } from './direct-reply.ts';
import { queueNamed } from './queue-methods.ts';

export type ChannelConsumer = Consumer & {
  queue: Queue;
  unackedCount: number;
  /** Its channel is closing: it takes no more. */
  isLeaving: boolean;
};

export const consumerMethods: Handlers = {
  'basic.consume'(channel, fields) {
    const tag = fields.consumerTag || `amq.ctag-${randomUUID()}`;
    if (channel.consumers.has(tag) || channel.replyConsumer?.tag === tag)
      throw new AmqpError('NOT_ALLOWED', `attempt to reuse consumer tag '${tag}'`);
    if (fields.queue === REPLY_TO) return consumeReplies(channel, tag, fields);
    const queue = queueNamed(channel, fields.queue);
    expectConsumable(channel, queue, fields.exclusive);
    const priority = readPriority(fields.arguments, channel.vhost.describe('queue', queue.name));
    const consumer = createConsumer({ channel, queue, tag, priority, fields });
    channel.consumers.set(tag, consumer);
    // Before the first delivery.
    if (!fields.noWait) channel.send('basic.consume-ok', { consumerTag: tag });
    queue.addConsumer(consumer);
  },

  'basic.cancel'(channel, { consumerTag, noWait }) {
    const consumer = channel.consumers.get(consumerTag);
    channel.consumers.delete(consumerTag);
    cancelReplies(channel, consumerTag);
    consumer?.queue.removeConsumer(consumer);
    if (!noWait) channel.send('basic.cancel-ok', { consumerTag });
  },
};

function expectConsumable({ vhost, prefetch }: Channel, queue: Queue, isExclusive: boolean): void {
  const resource = vhost.describe('queue', queue.name);
  const isTaken = queue.consumers.some((consumer) => consumer.isExclusive || isExclusive);
  if (isTaken) throw new AmqpError('ACCESS_REFUSED', `${resource} in exclusive use`);
  if (queue.settings.isQuorum && prefetch.shared > 0)
    throw new AmqpError('NOT_IMPLEMENTED', `${resource} does not support global qos`);
}

/** `x-priority`, 0 without one. An offset is refused, as there are no streams here. */
function readPriority(args: Table, resource: string): number {
  const fail = (name: string) =>
    new AmqpError('PRECONDITION_FAILED', `invalid arg '${name}' for ${resource}`);
  if (args.has('x-stream-offset')) throw fail('x-stream-offset');
  const priority = args.has('x-priority') ? integerOf(args.get('x-priority')) : 0;
  if (priority === undefined) throw fail('x-priority');
  return priority;
}

function createConsumer({
  channel,
  queue,
  tag,
  priority,
  fields,
}: {
  channel: Channel;
  queue: Queue;
  tag: string;
  priority: number;
  fields: Fields<'basic.consume'>;
}): ChannelConsumer {
  const { connection, deliveries, prefetch } = channel;
  const ownPrefetch = prefetch.perConsumer;
  const isBelow = (count: number, limit: number) => limit === 0 || count < limit;

  function toTag(entry: QueuedMessage): number {
    if (!fields.noAck) return deliveries.track({ entry, queue, consumer });
    queue.ack(entry);
    return deliveries.nextTag();
  }

  const consumer: ChannelConsumer = {
    tag,
    queue,
    isExclusive: fields.exclusive,
    priority,
    unackedCount: 0,
    isLeaving: false,
    hasRoom() {
      if (consumer.isLeaving || !connection.isWritable()) return false;
      const isFree =
        isBelow(consumer.unackedCount, ownPrefetch) && isBelow(deliveries.consumedCount(), prefetch.shared);
      return fields.noAck || isFree;
    },
    deliver(entry) {
      const { message, isRedelivered } = entry;
      const { exchange, routingKey, body } = message;
      const properties = deliveredProperties(entry, queue.settings.isQuorum && entry.deliveryCount > 0);
      channel.sendMessage(
        'basic.deliver',
        { consumerTag: tag, deliveryTag: toTag(entry), redelivered: isRedelivered, exchange, routingKey },
        { properties, body },
      );
    },
    onCancelled() {
      const isOurs = channel.consumers.delete(tag);
      if (isOurs && connection.isCancelNotified)
        channel.send('basic.cancel', { consumerTag: tag, noWait: true });
    },
  };
  return consumer;
}
