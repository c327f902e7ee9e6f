/** What the tests of AMQP itself stand on: queues without the rest of the topology, and proxies that see every byte. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { PATIENCE_MS } from '@waybill/test-harness/eventually.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { type Channel, connect } from 'amqplib';
import { pino } from 'pino';
import type { AmqpClientOptions } from './amqp-connection.ts';
import { createAmqpPublisher } from './amqp-publisher.ts';
import { type AmqpSubscriber, createAmqpSubscriber } from './amqp-subscriber.ts';
import { type AmqpTopology, type Queue, serviceQueues } from './amqp-topology.ts';
import { type Consumption, collect, soon } from './contract-bench.fixture.ts';
import type { Publisher, Source, Subscriber } from './ports.ts';

/** A broker that speaks AMQP. */
export type AmqpBroker = {
  name: string;
  /** Asked for when the tests run. */
  url(): string;
  /** Has the server close every connection. */
  closeConnections?(): Promise<unknown>;
};

type ClientOptions = Partial<AmqpClientOptions> & { confirmTimeoutMs?: number };

/** What one test works with: a service of its own, and clients and proxies that are closed after it. */
export type AmqpBench = {
  url: string;
  service: string;
  /** Its work queue, the only one that its clients declare. */
  queue: string;
  topology: AmqpTopology;
  log: AmqpClientOptions['log'];
  /** A publisher that is connected. */
  publisher(options?: ClientOptions): Promise<Publisher>;
  /** One that need not be. */
  unconnectedPublisher(options?: ClientOptions): Promise<Publisher>;
  subscriber(options?: ClientOptions): Promise<AmqpSubscriber>;
  /** Consumes the queue and is active. */
  consume(subscriber: Subscriber, options?: { from?: Source; prefetch?: number }): Promise<Consumption>;
  /** A proxy before the broker, and the URL through it. */
  proxy(options?: { host?: string; port?: number }): Promise<TcpProxy & { url: string }>;
};

export function createAmqpBench(broker: Pick<AmqpBroker, 'url'>, t: TestContext): AmqpBench {
  const url = broker.url();
  const service = `contract-${randomUUID()}`;
  const queue = serviceQueues(service).work;
  const topology = { exchanges: [], queues: [quorumQueue(queue)], bindings: [] };
  const log = pino({ level: 'silent' });
  const defaults = { url, name: 'contract', topology, log, confirmTimeoutMs: PATIENCE_MS };

  async function unconnectedPublisher(options: ClientOptions = {}): Promise<Publisher> {
    const publisher = await createAmqpPublisher({ ...defaults, ...options });
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
      const subscriber = await createAmqpSubscriber({ ...defaults, ...options });
      t.after(() => subscriber.close());
      return subscriber;
    },
    async consume(subscriber, options = {}) {
      const consumption = collect(subscriber, { from: { work: service }, prefetch: 100, ...options });
      await soon(() => assert.ok(consumption.isActive(), 'the subscription is not active'));
      return consumption;
    },
    async proxy(options = {}) {
      const proxy = await startTcpProxy({ target: url, ...options });
      t.after(() => proxy.close());
      return { ...proxy, url: proxy.through(url) };
    },
  };
}

export async function available(publisher: Publisher): Promise<void> {
  await soon(() => assert.ok(publisher.isAvailable(), 'the publisher is not available'));
}

export function quorumQueue(name: string, args: Queue['arguments'] = {}): Queue {
  return { name, arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 20, ...args } };
}

/** Looks past the clients, on a connection of its own. */
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
