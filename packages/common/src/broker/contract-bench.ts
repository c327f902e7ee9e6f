import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import type { TestContext } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { type Channel, connect } from 'amqplib';
import { pino } from 'pino';
import type { AmqpClientOptions } from './amqp-connection.ts';
import { type AmqpTopology, type Queue, serviceQueues } from './amqp-topology.ts';
import type { BrokerContract } from './contract.ts';
import type { Delivery, OutgoingMessage, Publisher, Source, Subscriber, Subscription } from './ports.ts';

/** For machines that are busy with other tests; nothing takes nearly as long. */
const DEADLINE_MS = 30_000;

type ClientOptions = Partial<AmqpClientOptions> & { confirmTimeoutMs?: number };

/** What one test works with: a queue of its own, and clients and proxies that are closed after it. */
export type Bench = {
  url: string;
  /** The service that the queue belongs to. */
  service: string;
  queue: string;
  topology: AmqpTopology;
  log: AmqpClientOptions['log'];
  /** A publisher that is connected. */
  publisher(options?: ClientOptions): Promise<Publisher>;
  /** One that need not be. */
  unconnectedPublisher(options?: ClientOptions): Promise<Publisher>;
  subscriber(options?: ClientOptions): Promise<Subscriber>;
  /** Consumes the queue and is active. */
  consume(subscriber: Subscriber, options?: { from?: Source; prefetch?: number }): Promise<Consumption>;
  /** A proxy before the broker, and the URL through it. */
  proxy(options?: { host?: string; port?: number }): Promise<TcpProxy & { url: string }>;
};

/** Deliveries in the order they come. `next` rejects 30 s after the subscription. */
export type Consumption = Subscription & { next(): Promise<Delivery> };

export function createBench(contract: BrokerContract, t: TestContext): Bench {
  const url = contract.url();
  const service = `contract-${randomUUID()}`;
  const queue = serviceQueues(service).work;
  const topology = { exchanges: [], queues: [quorumQueue(queue)], bindings: [] };
  const log = pino({ level: 'silent' });
  const defaults = { url, name: 'contract', topology, log, confirmTimeoutMs: DEADLINE_MS };
  const onActive = async (subscription: Subscription) =>
    soon(() => assert.ok(subscription.isActive(), 'the subscription is not active'));

  async function unconnectedPublisher(options: ClientOptions = {}): Promise<Publisher> {
    const publisher = await contract.createPublisher({ ...defaults, ...options });
    t.after(() => publisher.close(0));
    return publisher;
  }

  return {
    url,
    service,
    queue,
    topology,
    log,
    unconnectedPublisher,
    async publisher(options) {
      const publisher = await unconnectedPublisher(options);
      await available(publisher);
      return publisher;
    },
    async subscriber(options = {}) {
      const subscriber = await contract.createSubscriber({ ...defaults, ...options });
      t.after(() => subscriber.close());
      return subscriber;
    },
    async consume(subscriber, options = {}) {
      const consumption = collect(subscriber, { from: { work: service }, prefetch: 100, ...options });
      await onActive(consumption);
      return consumption;
    },
    async proxy(options = {}) {
      const proxy = await startTcpProxy({ target: url, ...options });
      t.after(() => proxy.close());
      return { ...proxy, url: proxy.through(url) };
    },
  };
}

/** Subscribes and keeps what is delivered until it is asked for. */
export function collect(subscriber: Subscriber, options: { from: Source; prefetch: number }): Consumption {
  const arrivals = new EventEmitter();
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const deliveries = on(arrivals, 'delivery', { signal });
  const onDelivery = (delivery: Delivery) => void arrivals.emit('delivery', delivery);
  const subscription = subscriber.subscribe({ ...options, onDelivery });
  return { ...subscription, next: async () => (await deliveries.next()).value?.[0] };
}

/** Waits for what can only be looked at; see {@link eventually}. */
export function soon<T>(check: () => T | Promise<T>): Promise<T> {
  return eventually(check, { timeoutMs: DEADLINE_MS });
}

export async function available(publisher: Publisher): Promise<void> {
  await soon(() => assert.ok(publisher.isAvailable(), 'the publisher is not available'));
}

export function quorumQueue(name: string, args: Queue['arguments'] = {}): Queue {
  return { name, arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 20, ...args } };
}

/** A message for the work queue of `service`. */
export function messageTo(service: string, body: string | Buffer = 'hello'): OutgoingMessage {
  return { to: { service }, contentType: 'text/plain', body: Buffer.from(body) };
}

/** Publishes each body and expects it to be confirmed. */
export async function publishAll(publisher: Publisher, service: string, bodies: string[]): Promise<void> {
  const outcomes = await Promise.all(bodies.map((body) => publisher.publish(messageTo(service, body))));
  assert.deepEqual(new Set(outcomes), new Set(['confirmed']));
}

/** Looks past the ports, on a connection of its own. */
export async function onRawChannel<T>(url: string, use: (channel: Channel) => Promise<T>): Promise<T> {
  const connection = await connect(url);
  try {
    return await use(await connection.createChannel());
  } finally {
    await connection.close();
  }
}

/** How many messages of a queue wait to be delivered, and how many consumers it has. */
export function depthOf(url: string, queue: string): Promise<{ ready: number; consumers: number }> {
  return onRawChannel(url, async (channel) => {
    const { messageCount, consumerCount } = await channel.checkQueue(queue);
    return { ready: messageCount, consumers: consumerCount };
  });
}

/** Expects a queue to have this depth soon. */
export async function expectDepth(
  url: string,
  queue: string,
  depth: { ready: number; consumers: number },
): Promise<void> {
  await soon(async () => assert.deepEqual(await depthOf(url, queue), depth));
}

/**
 * The frames of what a server sends while a connection is set up, which comes in whole frames (AMQP 0-9-1, section
 * 2.3.5). `method` is the class and method of a method frame: `20.41` is Channel.CloseOk.
 */
export function framesIn(chunk: Buffer): { method?: string; bytes: Buffer }[] {
  const frames = [];
  for (let start = 0; start < chunk.length; ) {
    const end = start + 7 + chunk.readUInt32BE(start + 3) + 1;
    const isMethod = chunk[start] === 1;
    const method = isMethod ? `${chunk.readUInt16BE(start + 7)}.${chunk.readUInt16BE(start + 9)}` : undefined;
    frames.push({ method, bytes: chunk.subarray(start, end) });
    start = end;
  }
  return frames;
}
