import { randomUUID } from 'node:crypto';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import type { Logger } from 'pino';
import { within } from '../within.ts';
import { breakConnection, createAmqpConnection, declareTopology } from './amqp-connection.ts';
import type { OutgoingMessage, Publisher, PublishOutcome } from './ports.ts';
import type { Topology } from './topology.ts';

/** After this long without a confirm the outcome is `unknown` (design: interfaces). */
const CONFIRM_TIMEOUT_MS = 5_000;
/** Bounds of what is written and unconfirmed: past them a publish is `not-accepted`. amqplib itself has no bound. */
const MAX_UNCONFIRMED = 4_096;
const MAX_UNCONFIRMED_BYTES = 64 * 1024 * 1024;
/** A message that closes the channel would close the next one too. */
const MAX_WRITES = 2;

type Pending = {
  id: string;
  message: OutgoingMessage;
  writes: number;
  isReturned: boolean;
  timer: NodeJS.Timeout;
  resolve(outcome: PublishOutcome): void;
};

/** Creates a {@link Publisher} on a connection of its own: a blocked one must not stop consuming. */
export async function createAmqpPublisher({
  url,
  name,
  topology,
  log,
}: {
  url: string;
  name: string;
  topology: Topology;
  log: Logger;
}): Promise<Publisher> {
  /** By message id, in the order of publishing. */
  const pending = new Map<string, Pending>();
  let pendingBytes = 0;
  let channel: ConfirmChannel | undefined;
  let isBlocked = false;
  let onDrained: (() => void) | undefined;

  const connection = await createAmqpConnection({
    url,
    name: `${name} publisher`,
    topology,
    log,
    setup: openChannel,
    onDisconnect() {
      channel = undefined;
      isBlocked = false;
    },
    onBlocked(value) {
      isBlocked = value;
    },
  });

  async function openChannel(model: ChannelModel): Promise<void> {
    const opened = await model.createConfirmChannel();
    opened.on('error', (error) => {
      log.error({ err: error }, 'publishing channel failed');
      breakConnection(model, error);
    });
    opened.on('close', () => {
      if (channel === opened) channel = undefined;
      breakConnection(model, new Error('publishing channel closed'));
    });
    opened.on('return', ({ properties }) => {
      const returned = pending.get(properties.messageId);
      if (returned) returned.isReturned = true;
    });
    channel = opened;
    for (const unconfirmed of [...pending.values()]) write(unconfirmed);
  }

  function write(entry: Pending): void {
    const writtenTo = channel;
    if (!writtenTo) return;
    if (entry.writes >= MAX_WRITES) {
      settle(entry, 'unknown');
      return;
    }
    entry.writes += 1;
    entry.isReturned = false;
    const { exchange, routingKey, body, contentType, headers } = entry.message;
    const options = { mandatory: true, persistent: true, messageId: entry.id, contentType, headers };
    try {
      writtenTo.publish(exchange, routingKey, body, options, (error) => {
        if (channel === writtenTo) onConfirm(entry, error);
      });
    } catch (error) {
      // The channel is closing: its close event brings the next one, where this entry is written again.
      log.debug({ err: error }, 'publish on a closing channel');
    }
  }

  /** An unroutable message is returned first and confirmed then, so the confirm decides. */
  function onConfirm(entry: Pending, error: unknown): void {
    if (error) settle(entry, 'unknown');
    else settle(entry, entry.isReturned ? 'unroutable' : 'confirmed');
  }

  function settle(entry: Pending, outcome: PublishOutcome): void {
    if (!pending.delete(entry.id)) return;
    pendingBytes -= entry.message.body.length;
    clearTimeout(entry.timer);
    entry.resolve(outcome);
    if (pending.size === 0) onDrained?.();
  }

  const isAvailable = () => channel !== undefined && !isBlocked;
  const hasRoom = () => pending.size < MAX_UNCONFIRMED && pendingBytes < MAX_UNCONFIRMED_BYTES;

  return {
    isAvailable,
    publish(message) {
      if (!isAvailable() || !hasRoom()) return Promise.resolve('not-accepted');
      return new Promise((resolve) => {
        const id = randomUUID();
        const timer = setTimeout(() => settle(entry, 'unknown'), CONFIRM_TIMEOUT_MS);
        const entry: Pending = { id, message, writes: 0, isReturned: false, timer, resolve };
        pending.set(id, entry);
        pendingBytes += message.body.length;
        write(entry);
      });
    },
    declare: () => connection.withChannel((opened) => declareTopology(opened, topology)),
    async close(deadlineMs = CONFIRM_TIMEOUT_MS) {
      if (pending.size > 0) await within(deadlineMs, new Promise<void>((resolve) => (onDrained = resolve)));
      await connection.close();
      for (const entry of [...pending.values()]) settle(entry, 'unknown');
    },
  };
}
