import { setMaxListeners } from 'node:events';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { within } from '../within.ts';

const CLOSE_TIMEOUT_MS = 2_000;

export type PartitionConsumer = {
  /** Resolves when deliveries arrive; rejects when the channel cannot be opened. */
  opened: Promise<void>;
  isActive(): boolean;
  /** Closes the channel. */
  close(): Promise<void>;
};

/**
 * Consumes a queue with a single active consumer on a channel of its own. Only its close gives back what is unacked and lets
 * the next consumer begin at once: after a cancel RabbitMQ lets it begin behind what this one has still in hand.
 */
export function consumePartition(
  model: ChannelModel,
  {
    queue,
    prefetch,
    connectionClosed,
    onMessage,
    onBroken,
  }: {
    queue: string;
    prefetch: number;
    /** Aborts when the connection is gone. */
    connectionClosed: AbortSignal;
    /** `signal` aborts when the channel is gone. */
    onMessage(message: ConsumeMessage, on: { channel: Channel; signal: AbortSignal }): void;
    /** The channel is gone, and nobody has closed it. */
    onBroken(reason: Error): void;
  },
): PartitionConsumer {
  const closed = new AbortController();
  // One listener per event in work; the default warns of a leak at 10.
  setMaxListeners(0, closed.signal);
  let isActive = false;
  const opening = open();
  // Whoever closes it meanwhile waits for it too.
  opening.catch(() => {});
  if (connectionClosed.aborted) end();
  else connectionClosed.addEventListener('abort', end, { once: true, signal: closed.signal });

  function end(): void {
    isActive = false;
    closed.abort();
  }

  function breakUp(reason: Error): void {
    if (closed.signal.aborted) return;
    end();
    onBroken(reason);
  }

  async function open(): Promise<Channel> {
    const channel = await model.createChannel();
    channel.on('error', breakUp);
    channel.on('close', () => breakUp(new Error('consuming channel closed')));
    const take = (message: ConsumeMessage | null) => {
      if (closed.signal.aborted) return;
      if (message) onMessage(message, { channel, signal: closed.signal });
      else breakUp(new Error('subscription cancelled'));
    };
    await Promise.all([channel.prefetch(prefetch, false), channel.consume(queue, take)]);
    isActive = !closed.signal.aborted;
    return channel;
  }

  return {
    opened: opening.then(() => {}),
    isActive: () => isActive,
    async close() {
      end();
      // A dead peer never answers.
      const closing = opening.then((channel) => channel.close()).catch(() => {});
      await within(CLOSE_TIMEOUT_MS, closing);
    },
  };
}
