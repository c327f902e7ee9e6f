import { setMaxListeners } from 'node:events';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import type { Logger } from 'pino';
import { within } from '../within.ts';
import { breakConnection, createAmqpConnection } from './amqp-connection.ts';
import type { Delivery, Subscriber } from './ports.ts';
import type { Topology } from './topology.ts';

const CANCEL_TIMEOUT_MS = 2_000;

type Consumer = {
  queue: string;
  prefetch: number;
  onDelivery(delivery: Delivery): void;
  /** The tag and channel it consumes with now. */
  active: { tag: string; channel: Channel } | undefined;
};

/** Creates a {@link Subscriber} on a connection of its own, with one channel for all its subscriptions. */
export async function createAmqpSubscriber({
  url,
  name,
  topology,
  log,
}: {
  url: string;
  name: string;
  topology: Topology;
  log: Logger;
}): Promise<Subscriber> {
  const consumers = new Set<Consumer>();
  let current: { channel: Channel; closed: AbortController; model: ChannelModel } | undefined;

  const connection = await createAmqpConnection({
    url,
    name: `${name} subscriber`,
    topology,
    log,
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
      if (current === opened) forgetChannel();
      breakConnection(model, new Error('consuming channel closed'));
    });
    current = opened;
    for (const consumer of consumers) await consume(consumer, opened);
  }

  function forgetChannel(): void {
    current?.closed.abort();
    current = undefined;
    for (const consumer of consumers) consumer.active = undefined;
  }

  async function consume(
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
      const consumer: Consumer = { queue, prefetch, onDelivery, active: undefined };
      consumers.add(consumer);
      if (current) {
        const { model } = current;
        consume(consumer, current).catch((error) => breakConnection(model, error));
      }
      return {
        isActive: () => consumer.active !== undefined,
        async cancel() {
          consumers.delete(consumer);
          const { active } = consumer;
          consumer.active = undefined;
          // A dead peer never answers.
          if (active)
            await within(
              CANCEL_TIMEOUT_MS,
              active.channel.cancel(active.tag).catch(() => {}),
            );
        },
      };
    },
    async close() {
      await connection.close();
      forgetChannel();
    },
  };
}

function toDelivery(message: ConsumeMessage, queue: string, channel: Channel, signal: AbortSignal): Delivery {
  const { content, fields, properties } = message;
  const headers = properties.headers ?? {};
  return {
    body: content,
    contentType: properties.contentType ?? '',
    headers,
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
