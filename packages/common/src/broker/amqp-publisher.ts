import { randomUUID } from 'node:crypto';
import { type ChannelModel, type ConfirmChannel, IllegalOperationError } from 'amqplib';
import { within } from '../within.ts';
import { type AmqpClientOptions, breakConnection, createAmqpConnection } from './amqp-connection.ts';
import { messagingDestination, type Route, routeOf } from './amqp-route.ts';
import { allBindings, TYPES_EXCHANGE } from './amqp-topology.ts';
import type { OutgoingMessage, Publisher, PublishOutcome } from './ports.ts';

/** After this long without a confirm the outcome is `unknown`. */
const CONFIRM_TIMEOUT_MS = 5_000;
/** Bounds of what is written and unconfirmed: past them a publish is `not-accepted`. amqplib itself has no bound. */
const MAX_UNCONFIRMED = 4_096;
const MAX_UNCONFIRMED_BYTES = 64 * 1024 * 1024;

type RoutedMessage = Omit<OutgoingMessage, 'to'> & Route;

type Pending = {
  id: string;
  message: RoutedMessage;
  /** Where it was written last. */
  writtenTo: ConfirmChannel | undefined;
  isReturned: boolean;
  /** It was written to a channel that died before it said what became of it. */
  mayBeEnqueued: boolean;
  timer: NodeJS.Timeout;
  resolve(outcome: PublishOutcome): void;
};

export type AmqpPublisherOptions = AmqpClientOptions & {
  /** Default 5 s. */
  confirmTimeoutMs?: number;
  /** It is connected, and what it publishes from now on is written. */
  onConnect?(): void;
  onDisconnect?(): void;
};

/** Creates a {@link Publisher} on a connection of its own: a blocked one must not stop consuming. */
export async function createAmqpPublisher({
  confirmTimeoutMs = CONFIRM_TIMEOUT_MS,
  onConnect,
  onDisconnect,
  ...options
}: AmqpPublisherOptions): Promise<Publisher> {
  const { name, watch, log } = options;
  /** By message id, in the order of publishing. */
  const pending = new Map<string, Pending>();
  /** Unconfirmed when the broker closed a channel: one of them is why, so they are written one at a time. */
  const suspects = new Set<Pending>();
  let pendingBytes = 0;
  let opened: ConfirmChannel | undefined;
  let channel: ConfirmChannel | undefined;
  let isBlocked = false;
  let onDrained: (() => void) | undefined;

  const connection = await createAmqpConnection({
    ...options,
    name: `${name} publisher`,
    setup: openChannel,
    onConnect() {
      channel = opened;
      writeWaiting();
      onConnect?.();
    },
    onDisconnect() {
      channel = undefined;
      onDisconnect?.();
    },
    onBlocked(value) {
      isBlocked = value;
    },
  });

  /** Nothing is written to it before the connection is set up: a broker with an alarm would stop answering then. */
  async function openChannel(model: ChannelModel): Promise<void> {
    isBlocked = false;
    const fresh = await model.createConfirmChannel();
    opened = fresh;
    fresh.on('error', (error) => {
      log.error({ err: error }, 'publishing channel failed');
      watch?.note(`publishing failed: ${error.message}`);
      suspectWrittenTo(fresh, isRefusal(error));
      breakConnection(model, error);
    });
    // Before amqplib's own listener, which calls back every unconfirmed message with an error.
    fresh.prependListener('close', () => {
      if (channel === fresh) channel = undefined;
      breakConnection(model, new Error('publishing channel closed'));
    });
    fresh.on('return', ({ properties }) => {
      const returned = pending.get(properties.messageId);
      if (returned) returned.isReturned = true;
    });
  }

  /**
   * A suspect that was alone on the channel is guilty: it would close the next one too. What was refused alone is not in
   * the broker.
   */
  function suspectWrittenTo(failed: ConfirmChannel, isRefused: boolean): void {
    const [first, ...others] = [...pending.values()].filter(({ writtenTo }) => writtenTo === failed);
    if (!first) return;
    if (others.length === 0 && isRefused) first.writtenTo = undefined;
    if (others.length === 0 && suspects.has(first)) settle(first, outcomeOfRest(first));
    else for (const entry of [first, ...others]) suspects.add(entry);
  }

  /** Of what nobody will say any more. */
  function outcomeOfRest({ writtenTo, mayBeEnqueued }: Pending): PublishOutcome {
    return writtenTo || mayBeEnqueued ? 'unknown' : 'not-accepted';
  }

  /** Writes what the present channel has not got yet, oldest first. */
  function writeWaiting(): void {
    for (const entry of pending.values()) {
      if (entry.writtenTo !== channel) write(entry);
      if (suspects.size > 0) return;
    }
  }

  function write(entry: Pending): void {
    if (!channel) return;
    const writtenTo = channel;
    const before = { ...entry };
    if (entry.writtenTo && !entry.isReturned) entry.mayBeEnqueued = true;
    entry.writtenTo = writtenTo;
    entry.isReturned = false;
    const { exchange, routingKey, body, contentType, headers } = entry.message;
    const options = { mandatory: true, persistent: true, messageId: entry.id, contentType, headers };
    try {
      // By id: amqplib keeps this callback until the confirm, if ever, and must not keep the message along.
      const { id } = entry;
      writtenTo.publish(exchange, routingKey, body, options, (error) => {
        const written = pending.get(id);
        if (written && channel === writtenTo) onConfirm(written, error);
      });
    } catch (error) {
      // A closing channel: its close event brings the next one, where this entry is written again.
      if (error instanceof IllegalOperationError) return void Object.assign(entry, before);
      log.error({ err: error }, 'message cannot be encoded');
      settle(entry, 'not-accepted');
    }
  }

  /** An unroutable message is returned first and confirmed then, so the confirm decides. */
  function onConfirm(entry: Pending, error: unknown): void {
    if (error) settle(entry, 'unknown');
    else if (!entry.isReturned) settle(entry, 'confirmed');
    else settle(entry, entry.mayBeEnqueued ? 'unknown' : 'unroutable');
  }

  function settle(entry: Pending, outcome: PublishOutcome): void {
    if (!pending.delete(entry.id)) return;
    pendingBytes -= entry.message.body.length;
    clearTimeout(entry.timer);
    entry.resolve(outcome);
    if (suspects.delete(entry)) writeWaiting();
    if (pending.size === 0) onDrained?.();
  }

  const isAvailable = () => channel !== undefined && !isBlocked;
  const hasRoom = () => pending.size < MAX_UNCONFIRMED && pendingBytes < MAX_UNCONFIRMED_BYTES;

  function publish(message: RoutedMessage): Promise<PublishOutcome> {
    if (!isAvailable() || !hasRoom()) return Promise.resolve('not-accepted');
    return new Promise((resolve) => {
      const id = randomUUID();
      const onTimeout = () => settle(entry, outcomeOfRest(entry));
      const timer = setTimeout(onTimeout, confirmTimeoutMs);
      const entry: Pending = {
        id,
        message,
        writtenTo: undefined,
        isReturned: false,
        mayBeEnqueued: false,
        timer,
        resolve,
      };
      pending.set(id, entry);
      pendingBytes += message.body.length;
      if (suspects.size === 0) write(entry);
    });
  }

  return {
    isAvailable,
    isConnected: () => channel !== undefined,
    publish: ({ to, ...message }) => publish({ ...message, ...routeOf(to) }),
    declare: connection.declare,
    unbind: ({ service, type }) => connection.unbind(allBindings(service, type)),
    async isDeclared(type) {
      const question = { exchange: TYPES_EXCHANGE, routingKey: type, contentType: '', body: Buffer.alloc(0) };
      const outcome = await publish(question);
      return outcome === 'confirmed' || (outcome === 'unroutable' ? false : undefined);
    },
    describe: (to) => messagingDestination(routeOf(to)),
    async close(deadlineMs = CONFIRM_TIMEOUT_MS) {
      if (pending.size > 0) await within(deadlineMs, new Promise<void>((resolve) => (onDrained = resolve)));
      await connection.close();
      for (const entry of [...pending.values()]) settle(entry, 'unknown');
    },
  };
}

/** The method of AMQP 0-9-1, section 1.8.3.7. */
const BASIC_PUBLISH = { classId: 60, methodId: 40 };

/** Whether the broker closed the channel because of what was published: an exchange that is gone, a missing permission. */
function isRefusal(error: Error): boolean {
  const { classId, methodId } = error as { classId?: number; methodId?: number };
  return classId === BASIC_PUBLISH.classId && methodId === BASIC_PUBLISH.methodId;
}
