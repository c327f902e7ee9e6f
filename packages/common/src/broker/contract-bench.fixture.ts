import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import type { TestContext } from 'node:test';
import { eventually, PATIENCE_MS } from '@waybill/test-harness/eventually.ts';
import type { BrokerContract, Connections, Inspect } from './contract.fixture.ts';
import type { Delivery, OutgoingMessage, Publisher, Source, Subscriber, Subscription } from './ports.ts';
import type { Topology } from './topology.ts';

type ConnectOptions = { topology?: Topology; confirmTimeoutMs?: number };

/** What one test works with: a service of its own, and connections that are closed after it. */
export type Bench = {
  service: string;
  /** The one type that it takes. */
  type: string;
  /** Its work queue. */
  work: { work: string };
  inspect: Inspect;
  /** The ports of a process of the service, unless `topology` says otherwise; connected. */
  connect(options?: ConnectOptions): Promise<Connections>;
  /** The same, which need not be. */
  connecting(options?: ConnectOptions): Promise<Connections>;
  /** Consumes the work queue, or `from`, and is active. */
  consume(subscriber: Subscriber, options?: { from?: Source; prefetch?: number }): Promise<Consumption>;
};

/** Deliveries in the order they come. `next` rejects {@link PATIENCE_MS} after the subscription. */
export type Consumption = Subscription & { next(): Promise<Delivery> };

export function createBench(contract: BrokerContract, t: TestContext): Bench {
  const service = `contract-${randomUUID()}`;
  const type = `Type.${service}`;
  const work = { work: service };
  const defaults = { topology: { service, types: [type] }, confirmTimeoutMs: PATIENCE_MS };

  async function connecting(options: ConnectOptions = {}): Promise<Connections> {
    const connections = await contract.connect({ ...defaults, ...options });
    const { publisher, subscriber, close } = connections;
    t.after(async () => {
      await Promise.all([publisher.close(0), subscriber.close()]);
      await close?.();
    });
    return connections;
  }

  return {
    service,
    type,
    work,
    inspect: contract.inspect(),
    connecting,
    async connect(options) {
      const connections = await connecting(options);
      await soon(() => assert.ok(isConnected(connections), 'not connected'));
      return connections;
    },
    async consume(subscriber, options = {}) {
      const consumption = collect(subscriber, { from: work, prefetch: 100, ...options });
      await soon(() => assert.ok(consumption.isActive(), 'the subscription is not active'));
      return consumption;
    },
  };
}

export function isConnected({ publisher, subscriber }: Connections): boolean {
  return publisher.isAvailable() && subscriber.isConnected();
}

/** Subscribes and keeps what is delivered until it is asked for. */
export function collect(subscriber: Subscriber, options: { from: Source; prefetch: number }): Consumption {
  const arrivals = new EventEmitter();
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const deliveries = on(arrivals, 'delivery', { signal });
  const onDelivery = (delivery: Delivery) => void arrivals.emit('delivery', delivery);
  const subscription = subscriber.subscribe({ ...options, onDelivery });
  return { ...subscription, next: async () => (await deliveries.next()).value?.[0] };
}

/** Waits for what can only be looked at; see {@link eventually}. */
export function soon<T>(check: () => T | Promise<T>): Promise<T> {
  return eventually(check);
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

/** Expects a queue to have this depth soon. */
export async function expectDepth(
  { inspect }: Bench,
  from: Source,
  depth: { ready: number; consumers: number },
): Promise<void> {
  await soon(async () => assert.deepEqual(await inspect.depth(from), depth));
}
