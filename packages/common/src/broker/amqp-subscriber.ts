import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { within } from '../within.ts';
import { type AmqpClientOptions, breakConnection, createAmqpConnection } from './amqp-connection.ts';
import { consumePartition, type PartitionConsumer } from './amqp-partition-consumer.ts';
import { messagingDestination, queueOf } from './amqp-route.ts';
import { requesterQueue } from './amqp-topology.ts';
import type { Delivery, Source, Subscriber } from './ports.ts';

const CALL_TIMEOUT_MS = 2_000;
type Consumer = {
  from: Source;
  queue: string;
  prefetch: number;
  onDelivery(delivery: Delivery): void;
  /** What it consumes with on the present channel, and what of that has ended and left deliveries unacked. */
  attempts: Set<Attempt>;
  /** Of a partition, which has no attempts. */
  partition?: PartitionConsumer | undefined;
};

/** Together they have no more unacked than the prefetch of their consumer. */
type Attempt = {
  tag: string;
  channel: Channel;
  prefetch: number;
  unackedCount: number;
  state: 'asked' | 'active' | 'stopping' | 'stopped';
};

type Opened = { channel: Channel; closed: AbortController; model: ChannelModel };

/** A {@link Subscriber} that can be told to wait. */
export type AmqpSubscriber = Subscriber & {
  /** As a publisher's, on a connection that is never blocked. */
  declare(): Promise<void>;
  /** Asks for no more deliveries, of any subscription, until `resume`. Those that are unacked can still be acked. */
  pause(): void;
  resume(): void;
  /** Has what is unacked delivered again to somebody, by replacing the connection. */
  giveBack(): void;
};

/** Creates a {@link Subscriber} on a connection of its own, with one channel for all its subscriptions. */
export async function createAmqpSubscriber(options: AmqpClientOptions): Promise<AmqpSubscriber> {
  const { name, log } = options;
  const consumers = new Set<Consumer>();
  /** The present channel, and the same once its connection is set up. */
  let opened: Opened | undefined;
  let current: Opened | undefined;
  let isPaused = false;

  const connection = await createAmqpConnection({
    ...options,
    name: `${name} subscriber`,
    setup: openChannel,
    onDisconnect: forgetChannel,
  });

  async function openChannel(model: ChannelModel): Promise<void> {
    const channel = await model.createChannel();
    const fresh = { channel, closed: new AbortController(), model };
    // One listener per event in work; the default warns of a leak at 10.
    setMaxListeners(0, fresh.closed.signal);
    channel.on('error', (error) => log.error({ err: error }, 'consuming channel failed'));
    channel.on('close', () => {
      fresh.closed.abort();
      forgetChannel();
      breakConnection(model, new Error('consuming channel closed'));
    });
    opened = fresh;
    await consumeAll(fresh);
    current = fresh;
  }

  function forgetChannel(): void {
    opened?.closed.abort();
    opened = undefined;
    current = undefined;
    for (const consumer of consumers) {
      consumer.attempts.clear();
      consumer.partition = undefined;
    }
  }

  /** Visits those that are added meanwhile. */
  async function consumeAll(on: Opened): Promise<void> {
    for (const consumer of consumers)
      if (!isPaused) await ('partition' in consumer.from ? consumeInOrder : consume)(consumer, on);
  }

  /** What it has is never paused: another one would overtake it. It is no more than its prefetch. */
  async function consumeInOrder(consumer: Consumer, { model, closed }: Opened): Promise<void> {
    const { queue, prefetch, onDelivery } = consumer;
    consumer.partition ??= consumePartition(model, {
      ...{ queue, prefetch, connectionClosed: closed.signal },
      onMessage: (message, { channel, signal }) =>
        onDelivery(toDelivery(message, { consumer, channel, signal, onSettled() {} })),
      onBroken(reason) {
        log.error({ err: reason, queue }, 'consuming channel failed');
        breakConnection(model, reason);
      },
    });
    await consumer.partition.opened;
  }

  /** With as much of its prefetch as nothing else on the channel has or may yet get. */
  async function consume(consumer: Consumer, { channel, closed, model }: Opened): Promise<void> {
    const prefetch = freePrefetch(consumer);
    if (prefetch <= 0) return;
    const attempt: Attempt = { tag: randomUUID(), channel, prefetch, unackedCount: 0, state: 'asked' };
    consumer.attempts.add(attempt);
    const onSettled = () => {
      attempt.unackedCount -= 1;
      if (attempt.state === 'stopped' && attempt.unackedCount === 0) afterStop(consumer, attempt);
    };
    const onMessage = (message: ConsumeMessage | null) => {
      if (message) {
        attempt.unackedCount += 1;
        consumer.onDelivery(toDelivery(message, { consumer, channel, signal: closed.signal, onSettled }));
      } else {
        log.warn({ queue: consumer.queue }, 'the broker cancelled the subscription');
        breakConnection(model, new Error('subscription cancelled'));
      }
    };
    // Both sent in this turn, because the prefetch applies to the next consume on the channel, whosever it is.
    // Not global: a global QoS on a quorum queue closes the connection.
    await Promise.all([
      'requester' in consumer.from ? assertRequesterQueue(channel, consumer.from.requester) : undefined,
      channel.prefetch(prefetch, false),
      channel.consume(consumer.queue, onMessage, { consumerTag: attempt.tag }),
    ]);
    if (attempt.state === 'asked') attempt.state = 'active';
  }

  async function stopConsuming(consumer: Consumer): Promise<void> {
    const stopping = [...consumer.attempts].filter(isConsuming);
    await Promise.all(
      stopping.map(async (attempt) => {
        attempt.state = 'stopping';
        // A channel's calls are answered in their order, so that it may have been asked to consume a moment ago.
        await attempt.channel.cancel(attempt.tag).catch(() => {});
        attempt.state = 'stopped';
        afterStop(consumer, attempt);
      }),
    );
  }

  /** What has left nothing unacked makes room, at once or when the last of it is settled. */
  function afterStop({ attempts }: Consumer, attempt: Attempt): void {
    if (attempt.unackedCount === 0) attempts.delete(attempt);
    consumeNow();
  }

  function consumeNow(): void {
    if (!opened) return;
    const { model } = opened;
    consumeAll(opened).catch((error) => breakConnection(model, error));
  }

  return {
    subscribe({ from, prefetch, onDelivery }) {
      const queue = queueOf(from);
      const consumer: Consumer = { from, queue, prefetch, onDelivery, attempts: new Set() };
      consumers.add(consumer);
      consumeNow();
      return {
        isActive: () =>
          consumer.partition?.isActive() ?? [...consumer.attempts].some(({ state }) => state === 'active'),
        async cancel() {
          consumers.delete(consumer);
          // A dead peer never answers.
          await (consumer.partition?.close() ?? within(CALL_TIMEOUT_MS, stopConsuming(consumer)));
        },
      };
    },
    isConnected: () => current !== undefined,
    consumersOf: (service, partition) =>
      connection.consumersOf(
        queueOf(partition === undefined ? { work: service } : { of: service, partition }),
      ),
    declare: connection.declare,
    pause() {
      isPaused = true;
      for (const consumer of consumers) void stopConsuming(consumer);
    },
    resume() {
      isPaused = false;
      consumeNow();
    },
    giveBack() {
      if (opened) breakConnection(opened.model, new Error('deliveries given back'));
    },
    async close() {
      // amqplib sends the close of a connection past the acks that still wait in a channel's buffer. A call waits its
      // turn behind them.
      if (current) {
        const { channel, model } = current;
        const flushed = channel.prefetch(1).catch(() => {});
        // Who does not answer this would not answer the close either.
        if (!(await within(CALL_TIMEOUT_MS, flushed))) breakConnection(model, new Error('close timed out'));
      }
      await connection.close();
      forgetChannel();
    },
  };
}

/** The topology does not have it: most processes ask nothing. */
function assertRequesterQueue(channel: Channel, requester: string): Promise<unknown> {
  const { name, arguments: args } = requesterQueue(requester);
  return channel.assertQueue(name, { durable: true, arguments: args });
}

function isConsuming({ state }: Attempt): boolean {
  return state === 'asked' || state === 'active';
}

function freePrefetch({ prefetch, attempts }: Consumer): number {
  let free = prefetch;
  for (const attempt of attempts)
    free -= attempt.state === 'stopped' ? attempt.unackedCount : attempt.prefetch;
  return free;
}

function toDelivery(
  message: ConsumeMessage,
  {
    consumer: { from, queue },
    channel,
    signal,
    onSettled,
  }: { consumer: Consumer; channel: Channel; signal: AbortSignal; onSettled(): void },
): Delivery {
  const { content, fields, properties } = message;
  const headers = properties.headers ?? {};
  return {
    body: content,
    contentType: properties.contentType ?? '',
    headers,
    from,
    queue,
    routingKey: fields.routingKey,
    destination: messagingDestination(fields, queue),
    messageId: properties.messageId,
    deliveryCount: Number(headers['x-delivery-count'] ?? 0),
    signal,
    ack: () => settle(() => channel.ack(message)),
    // Not nack: from RabbitMQ 4.3 on only reject counts towards the delivery limit.
    requeue: () => settle(() => channel.reject(message, true)),
  };

  /** amqplib throws on a closing channel; the message is delivered again then. */
  function settle(send: () => void): void {
    if (signal.aborted) return;
    try {
      send();
      onSettled();
    } catch {}
  }
}
