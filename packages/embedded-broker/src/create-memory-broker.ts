/**
 * A broker in this process, without sockets: what RabbitMQ does for Waybill, behind the same two ports, for tests. It keeps
 * the contract of the ports (`broker/contract.fixture.ts` in common), is as asynchronous as a real broker is, and what waits
 * in it waits by the clock that it is given.
 *
 * @example
 * const broker = createMemoryBroker();
 * const listener = createListener({ service: 'greeting', handlers, ...broker });
 * const reply = await broker.ask({ type: 'GreetingRequest', data: 'Ada' });
 */
import { queueOf } from '@waybill/common/broker/amqp-route.ts';
import { EVENTS_EXCHANGE } from '@waybill/common/broker/amqp-topology.ts';
import type { Broker, Source } from '@waybill/common/broker/ports.ts';
import type { Topology } from '@waybill/common/broker/topology.ts';
import type { Clock } from './clock.ts';
import { createMemory } from './memory.ts';
import { type Ask, createAsk } from './memory-broker/ask.ts';
import { declareQueue, declareRequester, declareSource, declareTopology } from './memory-broker/declare.ts';
import { createLine, type Faults } from './memory-broker/line.ts';
import { createMemoryPublisher } from './memory-broker/publisher.ts';
import { fromStored, type ReadMessage } from './memory-broker/stored-message.ts';
import { createMemorySubscriber } from './memory-broker/subscriber.ts';
import { createVhost, depthsOf, type Vhost } from './vhost.ts';

export type MemoryBrokerOptions = {
  /** What this process declares. Without it, what is subscribed to is declared, and a service takes events of every type. */
  topology?: Topology;
  /** Default 5 s. */
  confirmTimeoutMs?: number;
};

/** The ports of one process, and what can happen to its connections. */
export type MemoryConnections = Broker & { faults: Faults };

export type MemoryBroker = MemoryConnections & {
  /** The ports of another process on the same broker. */
  connect(options?: MemoryBrokerOptions): MemoryConnections;
  /** Asks as a client does, and gets the reply. */
  ask: Ask;
  inspect: Inspect;
  /** The depth of each queue by its name. */
  queues(): Record<string, { ready: number; unacked: number }>;
  /** Drops all that is in it. */
  close(): Promise<void>;
};

/** A look past the ports. */
export type Inspect = {
  /** Takes the first message off its queue; undefined where none is ready. */
  take(from: Source): Promise<ReadMessage | undefined>;
  depth(from: Source): Promise<{ ready: number; consumers: number }>;
  deleteQueue(from: Source): Promise<void>;
  /** That of events, with every binding. */
  deleteExchange(): Promise<void>;
  /** As nobody of Waybill declares it: it refuses what is beyond `maxLength`. */
  declareQueue(from: Source, options: { maxLength: number }): Promise<void>;
};

/** More than a test ever publishes. */
const MEMORY_LIMIT_BYTES = Number.POSITIVE_INFINITY;

/**
 * Creates a broker that is empty, and connects to it.
 *
 * @param options.clock by which messages expire; default: the time of this machine.
 */
export function createMemoryBroker({
  clock,
  ...options
}: MemoryBrokerOptions & { clock?: Clock } = {}): MemoryBroker {
  const vhost = createVhost({ name: 'memory', memory: createMemory(MEMORY_LIMIT_BYTES), clock });
  const open = new Set<MemoryConnections>();

  function connect(options?: MemoryBrokerOptions): MemoryConnections {
    const connections = connectTo(vhost, options);
    open.add(connections);
    return connections;
  }

  return {
    ...connect(options),
    connect,
    ask: createAsk(() => connect({ topology: 'dispatcher' })),
    inspect: createInspect(vhost),
    queues: () => depthsOf(vhost),
    async close() {
      await Promise.all(
        [...open].flatMap(({ publisher, subscriber }) => [publisher.close(0), subscriber.close()]),
      );
      vhost.close();
    },
  };
}

function connectTo(
  vhost: Vhost,
  { topology, confirmTimeoutMs }: MemoryBrokerOptions = {},
): MemoryConnections {
  const line = createLine();
  let trouble: string | undefined;
  const declare = () => {
    try {
      declareTopology(vhost, topology ?? 'dispatcher');
      trouble = undefined;
    } catch (error) {
      trouble = `declaring the topology failed: ${(error as Error).message}`;
      throw error;
    }
  };
  const side = { vhost, line, declare };
  return {
    publisher: createMemoryPublisher({ ...side, confirmTimeoutMs }),
    subscriber: createMemorySubscriber({
      ...side,
      declareSource(from) {
        if ('requester' in from) declareRequester(vhost, from.requester);
        else if (topology === undefined) declareSource(vhost, from);
      },
    }),
    watch: {
      note(noted) {
        trouble = noted;
      },
      trouble: () => trouble,
      whyNotConnected: () => undefined,
    },
    faults: line.faults,
  };
}

function createInspect(vhost: Vhost): Inspect {
  const queueAt = (from: Source) => {
    const queue = vhost.queues.get(queueOf(from));
    if (!queue) throw new Error(`there is no queue ${queueOf(from)}`);
    return queue;
  };
  return {
    async take(from) {
      const queue = queueAt(from);
      const entry = queue.get();
      if (!entry) return undefined;
      queue.ack(entry);
      return fromStored(entry.message);
    },
    async depth(from) {
      const queue = queueAt(from);
      return { ready: queue.readyCount(), consumers: queue.consumers.length };
    },
    deleteQueue: async (from) => vhost.removeQueue(queueAt(from)),
    deleteExchange: async () => vhost.removeExchange(vhost.exchange(EVENTS_EXCHANGE)),
    declareQueue: async (from, { maxLength }) =>
      declareQueue(vhost, queueOf(from), {
        ...{ 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish', 'x-max-length': maxLength },
      }),
  };
}
