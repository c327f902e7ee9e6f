import { AmqpError } from '../amqp-error.ts';
import type { Fields } from '../codec/spec.ts';
import type { Queue } from '../queue.ts';
import { readQueueSettings } from '../queue-settings.ts';
import type { Channel, Handlers } from './channel.ts';
import { isReplyAddress, REPLY_TO } from './direct-reply.ts';
import { expectNotReserved } from './exchange-methods.ts';

export const queueMethods: Handlers = {
  'queue.declare'(channel, fields) {
    if (isReplyAddress(fields.queue)) return declareReplyAddress(channel, fields);
    const queue = fields.passive ? passive(channel, fields.queue) : declare(channel, fields);
    channel.lastQueueName = queue.name;
    if (fields.noWait) return;
    channel.send('queue.declare-ok', {
      queue: queue.name,
      messageCount: queue.readyCount(),
      consumerCount: queue.consumers.length,
    });
  },

  'queue.purge'(channel, { queue: name, noWait }) {
    const messageCount = queueNamed(channel, name).purge();
    if (!noWait) channel.send('queue.purge-ok', { messageCount });
  },

  'queue.delete'(channel, fields) {
    const { vhost } = channel;
    const isThere = vhost.queues.has(fields.queue || channel.lastQueueName);
    const queue = isThere ? queueNamed(channel, fields.queue) : undefined;
    const messageCount = queue?.readyCount() ?? 0;
    if (queue) {
      expectDeletable(queue, fields, vhost.describe('queue', queue.name));
      vhost.removeQueue(queue);
    }
    if (!fields.noWait) channel.send('queue.delete-ok', { messageCount });
  },
};

/** The queue of that name, or the one declared last. Throws `NOT_FOUND` or `RESOURCE_LOCKED`. */
export function queueNamed({ vhost, lastQueueName, connection }: Channel, name: string): Queue {
  if (!name && !lastQueueName) throw new AmqpError('NOT_FOUND', 'no previously declared queue');
  return vhost.queue(name || lastQueueName, connection);
}

function passive(channel: Channel, name: string): Queue {
  const queue = queueNamed(channel, name);
  queue.touch();
  return queue;
}

function declare({ vhost, connection }: Channel, fields: Fields<'queue.declare'>): Queue {
  const { queue: name, durable, exclusive, autoDelete, arguments: args } = fields;
  const resource = vhost.describe('queue', name);
  const settings = readQueueSettings(args, resource);
  if (!vhost.queues.has(name)) expectNotReserved('queue', name);
  if (settings.isQuorum) expectQuorum({ durable, exclusive, autoDelete }, resource);
  return vhost.declareQueue({
    name,
    isDurable: durable,
    isAutoDelete: autoDelete,
    owner: exclusive ? connection : undefined,
    args,
    settings,
  });
}

function expectQuorum(
  { durable, exclusive, autoDelete }: { durable: boolean; exclusive: boolean; autoDelete: boolean },
  resource: string,
): void {
  const property = !durable ? 'non-durable' : exclusive ? 'exclusive-owner' : autoDelete && 'auto-delete';
  if (property) throw new AmqpError('PRECONDITION_FAILED', `invalid property '${property}' for ${resource}`);
}

function expectDeletable(
  queue: Queue,
  { ifUnused, ifEmpty }: Fields<'queue.delete'>,
  resource: string,
): void {
  const flag = ifUnused ? 'if-unused' : 'if-empty';
  if (queue.settings.isQuorum && (ifUnused || ifEmpty))
    throw new AmqpError(
      'NOT_IMPLEMENTED',
      `cannot delete ${resource}. queue.delete operations with ${flag} flag set are not supported by quorum queues`,
    );
  if (ifUnused && queue.consumers.length > 0)
    throw new AmqpError('PRECONDITION_FAILED', `${resource} in use`);
  if (ifEmpty && queue.readyCount() > 0) throw new AmqpError('PRECONDITION_FAILED', `${resource} not empty`);
}

/** How a responder asks whether somebody still waits for its reply. */
function declareReplyAddress(channel: Channel, { queue, noWait }: Fields<'queue.declare'>): void {
  const { vhost } = channel;
  if (queue !== REPLY_TO && !vhost.replyConsumers.has(queue))
    throw new AmqpError('NOT_FOUND', `no ${vhost.describe('queue', queue)}`);
  if (!noWait) channel.send('queue.declare-ok', { queue, messageCount: 0, consumerCount: 1 });
}
