/**
 * Batches into a client's queue: persistent, `mandatory`, each confirmed, in order.
 *
 * A window of batches is unconfirmed at once. When the channel breaks, or confirms stay away, those are published again,
 * in order, on a fresh channel: so a batch may be enqueued twice, but never before the one that precedes it. (Except
 * in a queue that refuses messages when it is full, where the broker may take a later one of the window. After its
 * first refusal the window is one batch.)
 */

import { AppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import type { ConfirmChannel, Options } from 'amqplib';
import { backOff } from './backoff.ts';
import { toQueueError } from './client-queue.ts';
import type { Batch, Sink } from './stream-batches.ts';

/** A chunk: what a broken connection repeats is then no more than what a crash does. Measured: 16 send a tenth slower. */
const WINDOW_BATCHES = 32;
const WINDOW_BYTES = 4 * 1024 * 1024;
/** As towards the system's own broker. */
const CONFIRM_TIMEOUT_MS = 5_000;

export type QueueSink = Sink & {
  /** How many batches are confirmed, without a gap before them. */
  confirmed(): number;
  close(): void;
};

export type QueueSinkOptions = {
  queue: string;
  /** Opens a fresh channel. */
  openChannel(): Promise<ConfirmChannel>;
  toMessage(batch: Batch): { body: Buffer; options: Options.Publish };
  /** How often in a row publishing may fail before `send` and `flush` reject. */
  maxRetries: number;
  /** Ends every wait, and nothing more is written: the broker blocks publishers, or the delivery was lost. */
  signal: AbortSignal;
  /** Called when the broker has not confirmed in time. */
  onTimeout(): void;
};

type Entry = { batch: Batch; isConfirmed: boolean };

/** Creates the sink of one chunk of one stream. */
export function createQueueSink({
  queue,
  openChannel,
  toMessage,
  maxRetries,
  signal,
  onTimeout,
}: QueueSinkOptions): QueueSink {
  const unconfirmed: Entry[] = [];
  let windowBatches = WINDOW_BATCHES;
  let confirmed = 0;
  let failures = 0;
  let channel: ConfirmChannel | undefined;
  /** Why there is no channel, or none that is of use. */
  let broken: Error | undefined = new AppError('client-queue-unavailable', 'not opened yet');
  let changed = Promise.withResolvers<void>();
  signal.addEventListener('abort', change, { once: true });

  function change(): void {
    changed.resolve();
    changed = Promise.withResolvers();
  }

  function breakOff(reason: Error): void {
    broken ??= reason;
    change();
  }

  /** Whatever fails is mended here, in the course of `send` and `flush`, and nowhere in the background. */
  async function until(isTrue: () => boolean): Promise<void> {
    while (broken || !isTrue()) {
      signal.throwIfAborted();
      if (broken) await reopen(broken);
      else if (!(await within(CONFIRM_TIMEOUT_MS, changed.promise))) {
        onTimeout();
        breakOff(new AppError('client-queue-unavailable', 'no confirm came in time'));
      }
    }
  }

  /** A fresh channel, on which everything unconfirmed is published again. */
  async function reopen(reason: Error): Promise<void> {
    closeChannel();
    if (reason instanceof TerminalError || failures > maxRetries) throw reason;
    if (failures > 0) await backOff(failures, signal);
    failures += 1;
    try {
      channel = watch(await openChannel());
      broken = undefined;
      for (const entry of unconfirmed) write(entry, channel);
    } catch (error) {
      broken = toQueueError(error);
    }
  }

  function watch(opened: ConfirmChannel): ConfirmChannel {
    const onEnd = (error?: unknown) => {
      if (channel === opened) breakOff(toQueueError(error ?? new Error('the channel was closed')));
    };
    opened.on('error', onEnd);
    opened.on('close', onEnd);
    // The broker says so before it confirms.
    opened.on('return', () => {
      if (channel === opened)
        breakOff(new TerminalError('client-queue-deleted', "the client's queue was deleted"));
    });
    return opened;
  }

  function write(entry: Entry, to: ConfirmChannel): void {
    entry.isConfirmed = false;
    const { body, options } = toMessage(entry.batch);
    try {
      to.publish('', queue, body, { ...options, mandatory: true, persistent: true }, (error) => {
        if (to === channel && !broken) onConfirm(entry, error);
      });
    } catch (error) {
      breakOff(toQueueError(error));
    }
  }

  function onConfirm(entry: Entry, error: unknown): void {
    if (error) {
      windowBatches = 1;
      breakOff(new AppError('client-queue-busy', "the client's queue takes no more messages"));
      return;
    }
    entry.isConfirmed = true;
    while (unconfirmed[0]?.isConfirmed) {
      unconfirmed.shift();
      confirmed += 1;
      failures = 1;
    }
    change();
  }

  function closeChannel(): void {
    const closing = channel;
    channel = undefined;
    try {
      closing?.close().catch(() => {});
    } catch {
      // It is closed already.
    }
  }

  const hasRoom = () =>
    unconfirmed.length === 0 ||
    (unconfirmed.length < windowBatches && unconfirmedBytes(unconfirmed) < WINDOW_BYTES);

  return {
    async send(batch) {
      await until(hasRoom);
      const entry = { batch, isConfirmed: false };
      unconfirmed.push(entry);
      if (channel) write(entry, channel);
    },
    flush: () => until(() => unconfirmed.length === 0),
    confirmed: () => confirmed,
    close: closeChannel,
  };
}

function unconfirmedBytes(entries: readonly Entry[]): number {
  return entries.reduce((sum, { batch }) => sum + batch.base64.length, 0);
}
