import { setMaxListeners } from 'node:events';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { within } from '../within.ts';
import { type AmqpClientOptions, breakConnection, createAmqpConnection } from './amqp-connection.ts';
import type { Delivery, Subscriber } from './ports.ts';

const CALL_TIMEOUT_MS = 2_000;

type Consumer = {
  queue: string;
  prefetch: number;
  onDelivery(delivery: Delivery): void;
  /** Settles when the last attempt to consume has. */
  starting: Promise<void> | undefined;
  /** The tag and channel it consumes with now. */
  active: { tag: string; channel: Channel } | undefined;
};

/** Creates a {@link Subscriber} on a connection of its own, with one channel for all its subscriptions. */
export async function createAmqpSubscriber(options: AmqpClientOptions): Promise<Subscriber> {
  const { name, log } = options;
  const consumers = new Set<Consumer>();
  let current: { channel: Channel; closed: AbortController; model: ChannelModel } | undefined;

  const connection = await createAmqpConnection({
    ...options,
    name: `${name} subscriber`,
    setup: openChannel,
    onDisconnect: forgetChannel,
  });

  async function openChannel(model: ChannelModel): Promise<void> {
    const channel = await model.createChannel();
    const opened = { channel, closed: new AbortController(), model };
    // One listener per event in work; the default warns of a leak at 10.
    setMaxListeners(0, opened.closed.signal);
    channel.on('error', (error) => log.error({ err: error }, 'consuming channel failed'));
    channel.on('close', () => {
      opened.closed.abort();
      forgetChannel();
      breakConnection(model, new Error('consuming channel closed'));
    });
    // Visits those that are added meanwhile; later ones find the channel.
    for (const consumer of consumers) await consume(consumer, opened);
    current = opened;
  }

  function forgetChannel(): void {
    current?.closed.abort();
    current = undefined;
    for (const consumer of consumers) consumer.active = undefined;
  }

  function consume(consumer: Consumer, opened: NonNullable<typeof current>): Promise<void> {
    consumer.starting = startConsuming(consumer, opened);
    return consumer.starting;
  }

  async function startConsuming(
    consumer: Consumer,
    { channel, closed, model }: NonNullable<typeof current>,
  ): Promise<void> {
    const onMessage = (message: ConsumeMessage | null) => {
      if (message) consumer.onDelivery(toDelivery(message, consumer.queue, channel, closed.signal));
      else {
        log.warn({ queue: consumer.queue }, 'the broker cancelled the subscription');
        breakConnection(model, new Error('subscription cancelled'));
      }
    };
    // Both sent in this turn, because the prefetch applies to the next consume on the channel, whosever it is.
    // Not global: a global QoS on a quorum queue closes the connection.
    const [, { consumerTag }] = await Promise.all([
      channel.prefetch(consumer.prefetch, false),
      channel.consume(consumer.queue, onMessage),
    ]);
    consumer.active = { tag: consumerTag, channel };
  }

  return {
    subscribe({ queue, prefetch, onDelivery }) {
      const consumer: Consumer = { queue, prefetch, onDelivery, starting: undefined, active: undefined };
      consumers.add(consumer);
      if (current) {
        const { model } = current;
        consume(consumer, current).catch((error) => breakConnection(model, error));
      }
      return {
        isActive: () => consumer.active !== undefined,
        async cancel() {
          consumers.delete(consumer);
          // A dead peer never answers.
          await within(CALL_TIMEOUT_MS, stopConsuming(consumer));
        },
      };
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

async function stopConsuming(consumer: Consumer): Promise<void> {
  await consumer.starting?.catch(() => {});
  const { active } = consumer;
  consumer.active = undefined;
  await active?.channel.cancel(active.tag).catch(() => {});
}

function toDelivery(message: ConsumeMessage, queue: string, channel: Channel, signal: AbortSignal): Delivery {
  const { content, fields, properties } = message;
  const headers = properties.headers ?? {};
  return {
    body: content,
    contentType: properties.contentType ?? '',
    headers,
    exchange: fields.exchange,
    routingKey: fields.routingKey,
    queue,
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
