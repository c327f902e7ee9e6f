import { AmqpError } from '../amqp-error.ts';
import { deliveredProperties } from '../message.ts';
import type { Channel, Handlers } from './channel.ts';
import { requeue, type Unacked } from './deliveries.ts';
import { queueNamed } from './queue-methods.ts';

export const basicMethods: Handlers = {
  'channel.flow'(channel, { active }) {
    if (!active) throw new AmqpError('NOT_IMPLEMENTED', 'active=false');
    channel.send('channel.flow-ok', { active });
  },

  'confirm.select'(channel, { noWait }) {
    channel.confirms.select();
    if (!noWait) channel.send('confirm.select-ok', {});
  },

  'basic.qos'(channel, { prefetchSize, prefetchCount, global }) {
    if (prefetchSize !== 0) throw new AmqpError('NOT_IMPLEMENTED', `prefetch_size!=0 (${prefetchSize})`);
    if (global) channel.prefetch.shared = prefetchCount;
    else channel.prefetch.perConsumer = prefetchCount;
    channel.send('basic.qos-ok', {});
    if (global) deliverMore(channel);
  },

  'basic.get'(channel, { queue: name, noAck }) {
    const queue = queueNamed(channel, name);
    const { isQuorum, isSingleActiveConsumer } = queue.settings;
    if (isQuorum && isSingleActiveConsumer)
      throw new AmqpError(
        'RESOURCE_LOCKED',
        `cannot obtain access to locked ${channel.vhost.describe('queue', queue.name)}. basic.get operations are not supported by quorum queues with single active consumer`,
      );
    const entry = queue.get();
    if (!entry) {
      channel.send('basic.get-empty', { reserved1: '' });
      return;
    }
    const { message, isRedelivered } = entry;
    const { exchange, routingKey, body } = message;
    // RabbitMQ 3.10 tells those who get, and only them, of a first delivery as well.
    const properties = deliveredProperties(entry, queue.settings.isQuorum);
    if (noAck) queue.ack(entry);
    channel.sendMessage(
      'basic.get-ok',
      {
        deliveryTag: noAck ? channel.deliveries.nextTag() : channel.deliveries.track({ entry, queue }),
        redelivered: isRedelivered,
        exchange,
        routingKey,
        messageCount: queue.readyCount(),
      },
      { properties, body },
    );
  },

  'basic.ack'(channel, { deliveryTag, multiple }) {
    for (const { queue, entry } of channel.deliveries.take(deliveryTag, multiple)) queue.ack(entry);
    deliverMore(channel);
  },

  'basic.nack'(channel, { deliveryTag, multiple, requeue: isRequeued }) {
    refuse(channel, channel.deliveries.take(deliveryTag, multiple), isRequeued);
  },

  'basic.reject'(channel, { deliveryTag, requeue: isRequeued }) {
    refuse(channel, channel.deliveries.take(deliveryTag, false), isRequeued);
  },

  'basic.recover'(channel, { requeue: isRequeued }) {
    recover(channel, isRequeued);
    channel.send('basic.recover-ok', {});
  },

  'basic.recover-async'(channel, { requeue: isRequeued }) {
    recover(channel, isRequeued);
  },
};

function recover(channel: Channel, isRequeued: boolean): void {
  if (!isRequeued) throw new AmqpError('NOT_IMPLEMENTED', 'requeue=false');
  refuse(channel, channel.deliveries.takeAll(), true);
}

function refuse(channel: Channel, deliveries: Unacked[], isRequeued: boolean): void {
  if (isRequeued) requeue(deliveries);
  else for (const { queue, entry } of deliveries) queue.reject(entry);
  deliverMore(channel);
}

/** Its consumers have room again. */
function deliverMore({ consumers }: Channel): void {
  for (const { queue } of consumers.values()) queue.deliver();
}
