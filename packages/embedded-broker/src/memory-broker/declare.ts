import {
  type AmqpTopology,
  allBindings,
  amqpTopology,
  type Binding,
  listenerTopology,
  type Queue,
  requesterQueue,
} from '@waybill/common/broker/amqp-topology.ts';
import type { Source } from '@waybill/common/broker/ports.ts';
import type { Topology } from '@waybill/common/broker/topology.ts';
import { type Field, integer, type Table, text } from '../codec/table.ts';
import { readQueueSettings } from '../queue-settings.ts';
import type { Vhost } from '../vhost.ts';

/** Declares what a process needs; throws as the broker refuses. */
export function declareTopology(vhost: Vhost, topology: Topology): void {
  declare(vhost, amqpTopology(topology));
}

/** Declares what `from` needs. A service that has told no types takes every one. */
export function declareSource(vhost: Vhost, from: Source): void {
  const service = 'work' in from ? from.work : 'isolated' in from ? from.isolated : undefined;
  if (service !== undefined) declare(vhost, listenerTopology(service, ['#']));
  // What has a key comes to it by the work queue.
  if ('partition' in from) declare(vhost, listenerTopology(from.of, ['#'], [], ['#']));
}

/** Declares the queue of who asks. */
export function declareRequester(vhost: Vhost, requester: string): void {
  const { name, arguments: args } = requesterQueue(requester);
  declareQueue(vhost, name, args);
}

/** Has a service get no more events of a type. */
export function unbindType(vhost: Vhost, { service, type }: { service: string; type: string }): void {
  for (const binding of allBindings(service, type)) eachEnd(vhost, binding, vhost.unbind);
}

export function declareQueue(vhost: Vhost, name: string, args: Queue['arguments']): void {
  const table: Table = new Map(Object.entries(args).map(([key, value]) => [key, toField(value)]));
  vhost.declareQueue({
    ...{ name, isDurable: true, isAutoDelete: false, owner: undefined, args: table },
    settings: readQueueSettings(table, vhost.describe('queue', name)),
  });
}

function toField(value: string | number | boolean): Field {
  if (typeof value === 'boolean') return { type: 't', value };
  return typeof value === 'number' ? integer(value) : text(value);
}

function declare(vhost: Vhost, { exchanges, queues, bindings }: AmqpTopology): void {
  for (const exchange of exchanges)
    vhost.declareExchange({
      ...exchange,
      ...{ isDurable: true, isAutoDelete: false, isInternal: false, args: new Map() },
    });
  for (const queue of queues) declareQueue(vhost, queue.name, queue.arguments);
  for (const binding of bindings) eachEnd(vhost, binding, vhost.bind);
}

function eachEnd(vhost: Vhost, { queue: name, exchange, routingKey }: Binding, act: Vhost['bind']): void {
  const [source, queue] = [vhost.exchanges.get(exchange), vhost.queues.get(name)];
  if (source && queue) act(source, { destination: { kind: 'queue', queue }, routingKey, args: new Map() });
}
