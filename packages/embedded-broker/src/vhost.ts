/** A virtual host: its exchanges and queues by name, what binds them, and the way of a message through them. */
import { randomUUID } from 'node:crypto';
import { AmqpError } from './amqp-error.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Table } from './codec/table.ts';
import { toDeadLetter } from './dead-letter.ts';
import { expectEquivalent } from './equivalence.ts';
import {
  type Binding,
  bindingKey,
  createExchange,
  type Destination,
  type Exchange,
  type ExchangeOptions,
  type ExchangeType,
} from './exchange.ts';
import type { Memory } from './memory.ts';
import type { Message } from './message.ts';
import { createQueue, type Queue, type QueueOptions } from './queue.ts';
import { route } from './route.ts';

export type Vhost = {
  name: string;
  exchanges: Map<string, Exchange>;
  queues: Map<string, Queue>;
  /** Who waits for direct replies, by address. */
  replyConsumers: Map<string, (message: Message) => void>;
  /** `queue 'q' in vhost '/'`, as errors name things. */
  describe(kind: 'queue' | 'exchange', name: string): string;
  /** Throws `NOT_FOUND`. */
  exchange(name: string): Exchange;
  /** Throws `NOT_FOUND`, or `RESOURCE_LOCKED` for another connection's own. */
  queue(name: string, connection: object): Queue;
  /** Creates it, or checks that the present one is the same. */
  declareExchange(options: ExchangeOptions): void;
  declareQueue(options: QueueOptions): Queue;
  removeExchange(exchange: Exchange): void;
  removeQueue(queue: Queue): void;
  bind(source: Exchange, binding: Binding): void;
  unbind(source: Exchange, binding: Binding): void;
  /** Puts a message in every queue it is routed to. */
  publish(
    message: Message,
    options?: { headers?: Table; expirationMs?: number },
  ): {
    isRouted: boolean;
    isAccepted: boolean;
  };
  /** Removes the queues that live and die with a connection. */
  releaseOwner(connection: object): void;
  close(): void;
};

const PREDECLARED: [string, ExchangeType][] = [
  ['amq.direct', 'direct'],
  ['amq.fanout', 'fanout'],
  ['amq.topic', 'topic'],
  ['amq.headers', 'headers'],
  ['amq.match', 'headers'],
];

export function createVhost({
  name: vhostName,
  memory,
  clock = systemClock,
}: {
  name: string;
  memory: Memory;
  clock?: Clock | undefined;
}): Vhost {
  const exchanges = new Map<string, Exchange>();
  const queues = new Map<string, Queue>();
  const replyConsumers: Vhost['replyConsumers'] = new Map();
  const describe: Vhost['describe'] = (kind, name) => `${kind} '${name}' in vhost '${vhostName}'`;
  for (const [name, type] of PREDECLARED)
    exchanges.set(
      name,
      createExchange({
        name,
        type,
        isDurable: true,
        isAutoDelete: false,
        isInternal: false,
        args: new Map(),
      }),
    );

  function removeBindingsTo(isGone: (destination: Destination) => boolean): void {
    for (const source of exchanges.values()) {
      const gone = [...source.bindings.values()].filter(({ destination }) => isGone(destination));
      for (const binding of gone) unbind(source, binding);
    }
  }

  function unbind(source: Exchange, binding: Binding): void {
    const wasBound = source.bindings.delete(bindingKey(binding));
    if (wasBound && source.isAutoDelete && source.bindings.size === 0) removeExchange(source);
  }

  function removeExchange(exchange: Exchange): void {
    exchanges.delete(exchange.name);
    removeBindingsTo((destination) => destination.kind === 'exchange' && destination.exchange === exchange);
  }

  function removeQueue(queue: Queue): void {
    if (queues.get(queue.name) !== queue) return;
    queues.delete(queue.name);
    removeBindingsTo((destination) => destination.kind === 'queue' && destination.queue === queue);
    queue.destroy();
  }

  const surroundings = {
    memory,
    clock,
    remove: removeQueue,
    deadLetter(...[queue, message, reason]: Parameters<typeof toDeadLetter>) {
      const dead = toDeadLetter(queue, message, reason);
      if (!dead) return;
      for (const target of route({ exchanges, queues }, dead.message))
        if (!dead.isCycle(target)) target.publish(dead.message);
    },
  };

  return {
    name: vhostName,
    exchanges,
    queues,
    replyConsumers,
    describe,
    exchange(name) {
      const exchange = exchanges.get(name);
      if (!exchange) throw new AmqpError('NOT_FOUND', `no ${describe('exchange', name)}`);
      return exchange;
    },
    queue(name, connection) {
      const queue = queues.get(name);
      if (!queue) throw new AmqpError('NOT_FOUND', `no ${describe('queue', name)}`);
      expectAccess(queue, connection, describe('queue', name));
      return queue;
    },
    declareExchange(options) {
      const existing = exchanges.get(options.name);
      if (!existing) {
        exchanges.set(options.name, createExchange(options));
        return;
      }
      expectEquivalent({
        resource: describe('exchange', options.name),
        received: exchangeProperties(options),
        current: exchangeProperties(existing),
        receivedArgs: options.args,
        currentArgs: existing.args,
      });
    },
    declareQueue(options) {
      const name = options.name || `amq.gen-${randomUUID()}`;
      const existing = queues.get(name);
      if (existing) {
        expectSameQueue(existing, options, describe('queue', name));
        existing.touch();
        return existing;
      }
      const queue = createQueue({ ...options, name }, surroundings);
      queues.set(name, queue);
      return queue;
    },
    removeExchange,
    removeQueue,
    bind(source, binding) {
      source.bindings.set(bindingKey(binding), binding);
    },
    unbind,
    publish(message, { headers, expirationMs } = {}) {
      const targets = route({ exchanges, queues }, message, headers);
      let isAccepted = true;
      for (const target of targets) isAccepted = target.publish(message, expirationMs) && isAccepted;
      return { isRouted: targets.size > 0, isAccepted };
    },
    releaseOwner(connection) {
      for (const queue of [...queues.values()]) if (queue.owner === connection) removeQueue(queue);
    },
    close() {
      for (const queue of [...queues.values()]) removeQueue(queue);
    },
  };
}

/** The depth of each queue by its name. */
export function depthsOf({ queues }: Vhost): Record<string, { ready: number; unacked: number }> {
  const depths = [...queues.values()].map((queue) => [
    queue.name,
    { ready: queue.readyCount(), unacked: queue.unackedCount() },
  ]);
  return Object.fromEntries(depths);
}

function expectAccess(queue: Queue, connection: object, resource: string): void {
  if (queue.owner !== undefined && queue.owner !== connection) throw locked(resource);
}

function locked(resource: string): AmqpError {
  const text =
    `cannot obtain exclusive access to locked ${resource}. It could be originally declared on another ` +
    'connection or the exclusive property value does not match that of the original declaration.';
  return new AmqpError('RESOURCE_LOCKED', text);
}

function expectSameQueue(existing: Queue, options: QueueOptions, resource: string): void {
  if (existing.owner !== options.owner) throw locked(resource);
  expectEquivalent({
    resource,
    received: { durable: options.isDurable, auto_delete: options.isAutoDelete },
    current: { durable: existing.isDurable, auto_delete: existing.isAutoDelete },
    receivedArgs: options.args,
    currentArgs: existing.args,
  });
}

function exchangeProperties({ type, isDurable, isAutoDelete, isInternal }: ExchangeOptions) {
  return { type, durable: isDurable, auto_delete: isAutoDelete, internal: isInternal };
}
