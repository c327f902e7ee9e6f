import { AmqpError } from '../amqp-error.ts';
import type { Table } from '../codec/table.ts';
import { type Binding, isExchangeType } from '../exchange.ts';
import type { Vhost } from '../vhost.ts';
import type { Channel, Handlers } from './channel.ts';

const NOT_FOUND = 404;

export const exchangeMethods: Handlers = {
  'exchange.declare'(channel, fields) {
    const { vhost } = channel;
    expectNotDefault(fields.exchange);
    if (fields.passive) vhost.exchange(fields.exchange);
    else {
      if (!isExchangeType(fields.type))
        throw new AmqpError('COMMAND_INVALID', `unknown exchange type '${fields.type}'`);
      if (!vhost.exchanges.has(fields.exchange)) expectNotReserved('exchange', fields.exchange);
      vhost.declareExchange({
        name: fields.exchange,
        type: fields.type,
        isDurable: fields.durable,
        isAutoDelete: fields.autoDelete,
        isInternal: fields.internal,
        args: fields.arguments,
      });
    }
    if (!fields.noWait) channel.send('exchange.declare-ok', {});
  },

  'exchange.delete'(channel, fields) {
    const { vhost } = channel;
    expectNotDefault(fields.exchange);
    expectNotReserved('exchange', fields.exchange);
    const exchange = vhost.exchanges.get(fields.exchange);
    if (exchange && fields.ifUnused && exchange.bindings.size > 0)
      throw new AmqpError('PRECONDITION_FAILED', `${vhost.describe('exchange', exchange.name)} in use`);
    if (exchange) vhost.removeExchange(exchange);
    if (!fields.noWait) channel.send('exchange.delete-ok', {});
  },

  'exchange.bind'(channel, fields) {
    channel.vhost.bind(...exchangeBinding(channel.vhost, fields));
    if (!fields.noWait) channel.send('exchange.bind-ok', {});
  },

  'exchange.unbind'(channel, fields) {
    unbind(channel.vhost, () => exchangeBinding(channel.vhost, fields));
    if (!fields.noWait) channel.send('exchange.unbind-ok', {});
  },

  'queue.bind'(channel, fields) {
    channel.vhost.bind(...queueBinding(channel, fields));
    if (!fields.noWait) channel.send('queue.bind-ok', {});
  },

  'queue.unbind'(channel, fields) {
    unbind(channel.vhost, () => queueBinding(channel, fields));
    channel.send('queue.unbind-ok', {});
  },
};

/** Throws `ACCESS_REFUSED` for a name that only the broker may give. */
export function expectNotReserved(kind: 'exchange' | 'queue', name: string): void {
  if (name.startsWith('amq.'))
    throw new AmqpError('ACCESS_REFUSED', `${kind} name '${name}' contains reserved prefix 'amq.*'`);
}

type Ends = [source: ReturnType<Vhost['exchange']>, Binding];

/** What is not there is not bound, which is all that is asked for. */
function unbind(vhost: Vhost, findEnds: () => Ends): void {
  try {
    vhost.unbind(...findEnds());
  } catch (error) {
    if (!(error instanceof AmqpError && error.code === NOT_FOUND)) throw error;
  }
}

function exchangeBinding(
  vhost: Vhost,
  fields: { destination: string; source: string; routingKey: string; arguments: Table },
): Ends {
  expectNotDefault(fields.source);
  expectNotDefault(fields.destination);
  const source = vhost.exchange(fields.source);
  const exchange = vhost.exchange(fields.destination);
  return [
    source,
    { destination: { kind: 'exchange', exchange }, routingKey: fields.routingKey, args: fields.arguments },
  ];
}

function queueBinding(
  channel: Channel,
  fields: { queue: string; exchange: string; routingKey: string; arguments: Table },
): Ends {
  const { vhost, connection, lastQueueName } = channel;
  const queue = vhost.queue(fields.queue || lastQueueName, connection);
  expectNotDefault(fields.exchange);
  const source = vhost.exchange(fields.exchange);
  // Without either name the queue declared last is bound by its own name (AMQP 0-9-1, queue.bind).
  const routingKey = fields.queue || fields.routingKey ? fields.routingKey : queue.name;
  return [source, { destination: { kind: 'queue', queue }, routingKey, args: fields.arguments }];
}

function expectNotDefault(exchange: string): void {
  if (exchange === '')
    throw new AmqpError('ACCESS_REFUSED', 'operation not permitted on the default exchange');
}
