import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { within } from '../within.ts';
import { type AmqpClientOptions, breakConnection, createAmqpConnection } from './amqp-connection.ts';
import { messagingDestination, queueOf } from './amqp-route.ts';
import type { Delivery, Source, Subscriber } from './ports.ts';

const CALL_TIMEOUT_MS = 2_000;
type Consumer = {
  /**
   * The same whenever it consumes again: RabbitMQ then counts what it was delivered before, and is unacked, towards the
   * prefetch. (Of a quorum queue, which all of ours are; measured with 3.10.)
   */
  tag: string;
  from: Source;
  queue: string;
  prefetch: number;
  onDelivery(delivery: Delivery): void;
  /** What it consumes with now, or has asked to. */
  attempt: { channel: Channel; isActive: boolean } | undefined;
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
    for (const consumer of consumers) consumer.attempt = undefined;
  }

  /** Visits those that are added meanwhile. */
  async function consumeAll(on: Opened): Promise<void> {
    for (const consumer of consumers) if (!isPaused) await consume(consumer, on);
  }

  async function consume(consumer: Consumer, { channel, closed, model }: Opened): Promise<void> {
    if (consumer.attempt?.channel === channel) return;
    const attempt = { channel, isActive: false };
    consumer.attempt = attempt;
    const onMessage = (message: ConsumeMessage | null) => {
      if (message) consumer.onDelivery(toDelivery(message, consumer, channel, closed.signal));
      else {
        log.warn({ queue: consumer.queue }, 'the broker cancelled the subscription');
        breakConnection(model, new Error('subscription cancelled'));
      }
    };
    // Both sent in this turn, because the prefetch applies to the next consume on the channel, whosever it is.
    // Not global: a global QoS on a quorum queue closes the connection.
    await Promise.all([
      channel.prefetch(consumer.prefetch, false),
      channel.consume(consumer.queue, onMessage, { consumerTag: consumer.tag }),
    ]);
    attempt.isActive = true;
  }

  function consumeNow(): void {
    if (!opened) return;
    const { model } = opened;
    consumeAll(opened).catch((error) => breakConnection(model, error));
  }

  return {
    subscribe({ from, prefetch, onDelivery }) {
      const queue = queueOf(from);
      const tag = randomUUID();
      const consumer: Consumer = { tag, from, queue, prefetch, onDelivery, attempt: undefined };
      consumers.add(consumer);
      consumeNow();
      return {
        isActive: () => consumer.attempt?.isActive === true,
        async cancel() {
          consumers.delete(consumer);
          // A dead peer never answers.
          await within(CALL_TIMEOUT_MS, stopConsuming(consumer));
        },
      };
    },
    isConnected: () => current !== undefined,
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

/** A channel's calls are answered in their order, so that it may have been asked to consume a moment ago. */
async function stopConsuming(consumer: Consumer): Promise<void> {
  const { attempt } = consumer;
  consumer.attempt = undefined;
  await attempt?.channel.cancel(consumer.tag).catch(() => {});
}

function toDelivery(
  message: ConsumeMessage,
  { from, queue }: Consumer,
  channel: Channel,
  signal: AbortSignal,
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
    } catch {}
  }
}
