/** The same tests on the embedded broker and, where the run has one, on RabbitMQ: what both do is right. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, type TestContext } from 'node:test';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, type ChannelModel, type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';
import { createEmbeddedBroker, type EmbeddedBroker } from './create-embedded-broker.ts';

export type Client = {
  connection: ChannelModel;
  channel: ConfirmChannel;
  /** A name of this test's own. */
  name: string;
  /** Another client of the same broker. */
  another(): Promise<Client>;
};

const REFUSAL_TIMEOUT_MS = 5_000;

export type Refusal = { scope: 'channel' | 'connection'; code: number; message: string };

/** Defines `tests` for each broker; `open` gives them a client that is closed after the test. */
export function onBothBrokers(
  name: string,
  tests: (open: (t: TestContext) => Promise<Client>, url: () => string) => void,
): void {
  describe(`${name} (embedded)`, { concurrency: 8 }, () => {
    let broker: EmbeddedBroker;
    before(async () => {
      broker = await createEmbeddedBroker();
    });
    after(() => broker.close());
    tests(
      (t) => openClient(broker.url, t),
      () => broker.url,
    );
  });
  describe(`${name} (RabbitMQ)`, { skip: rabbitmqMissing, concurrency: 8 }, () => {
    let broker: TestBroker;
    before(async () => {
      broker = await freshBroker();
    });
    after(() => broker.close());
    tests(
      (t) => openClient(broker.url, t),
      () => broker.url,
    );
  });
}

/**
 * The broker is a RabbitMQ 4.3 or newer, which does some things otherwise than 3.10 and the embedded broker: a prefetch
 * for a whole channel counts for each of its consumers, and what is sent to a requester that has gone is dropped.
 */
export function isRabbitmq43({ connection }: Pick<Client, 'connection'>): boolean {
  const { product, version } = connection.connection.serverProperties;
  if (product !== 'RabbitMQ') return false;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 4 || (major === 4 && minor >= 3);
}

export async function openClient(url: string, t: TestContext): Promise<Client> {
  const connection = await connect(url);
  t.after(() => connection.close().catch(() => {}));
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  return { connection, channel, name: `test.${randomUUID()}`, another: () => openClient(url, t) };
}

/** What the broker closes, and why, because of `act`. */
export async function refusalOf({ connection, channel }: Client, act: () => unknown): Promise<Refusal> {
  const closed = (emitter: NodeJS.EventEmitter, scope: Refusal['scope']) =>
    once(emitter, 'error', { signal: AbortSignal.timeout(REFUSAL_TIMEOUT_MS) }).then(([error]) => ({
      scope,
      code: error.code,
      message: error.message,
    }));
  const refusal = Promise.race([closed(channel, 'channel'), closed(connection, 'connection')]);
  Promise.resolve(act()).catch(() => {});
  return refusal;
}

/** What is left in a queue, in order. */
export async function drain(channel: Channel, queue: string): Promise<string[]> {
  const bodies = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (!message) return bodies;
    bodies.push(String(message.content));
  }
}

/** Consumes, and gives the messages one by one; null when the broker cancels. */
export async function consume(
  channel: Channel,
  queue: string,
  options: Parameters<Channel['consume']>[2] = {},
): Promise<{ tag: string; next(): Promise<ConsumeMessage | null>; count(): number }> {
  const arrived: (ConsumeMessage | null)[] = [];
  let count = 0;
  let wake = () => {};
  const { consumerTag } = await channel.consume(
    queue,
    (message) => {
      count += 1;
      arrived.push(message);
      wake();
    },
    options,
  );
  return {
    tag: consumerTag,
    count: () => count,
    async next() {
      while (arrived.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return arrived.shift() ?? null;
    },
  };
}

/** The next message, which must be one. */
export async function message(consumer: { next(): Promise<ConsumeMessage | null> }): Promise<ConsumeMessage> {
  const next = await consumer.next();
  if (!next) throw new Error('the consumer was cancelled');
  return next;
}

export async function publishAll(channel: ConfirmChannel, queue: string, bodies: string[]): Promise<void> {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body));
  await channel.waitForConfirms();
}

/** Resolves when the queue holds so many ready messages: depths of quorum queues lag in RabbitMQ. */
export async function depth(channel: Channel, queue: string): Promise<number> {
  return (await channel.checkQueue(queue)).messageCount;
}
