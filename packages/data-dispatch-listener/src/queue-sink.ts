/**
 * Batches into a client's queue: persistent, `mandatory`, each confirmed, in order.
 *
 * A window of batches is unconfirmed at once. When the channel breaks, or confirms stay away, those are published again,
 * in order, on a fresh channel: so a batch may be enqueued twice, but never before the one that precedes it. A queue that
 * refuses messages when it is full may take a later one of the window: `send` and `flush` then reject with
 * {@link QueueRefusal}, and what follows should go one by one.
 */
import type { EventEmitter } from 'node:events';
import { backOff } from '@waybill/common/back-off.ts';
import { AppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import type { ConfirmChannel, Options } from 'amqplib';
import { toQueueError } from './client-queue.ts';
import type { DatasetStream } from './dataset-stream.ts';
import type { Batch, Sink } from './stream-batches.ts';

/** A chunk: what a broken connection repeats is then no more than what a crash does. Measured: 16 send a tenth slower. */
const WINDOW_BATCHES = 32;
const WINDOW_BYTES = 4 * 1024 * 1024;
const RETRY = { baseMs: 100, capMs: 5_000 };
/** As towards the system's own broker. */
const CONFIRM_TIMEOUT_MS = 5_000;

export type QueueSink = Sink & {
  /** How many batches are confirmed, without a gap before them. */
  confirmed(): number;
  close(): void;
};

/** What a sink needs of a channel. */
type SinkChannel = Pick<ConfirmChannel, 'publish' | 'close'> & Pick<EventEmitter, 'on'>;

export type QueueSinkOptions = {
  queue: string;
  /** What leads to the queue by its name; default the default exchange. */
  exchange?: string;
  /** Opens a fresh channel. */
  openChannel(): Promise<SinkChannel>;
  toMessage(batch: Batch): { body: Buffer; options: Options.Publish };
  /** How often in a row publishing may fail before `send` and `flush` reject. */
  maxRetries: number;
  /** Ends every wait, and nothing more is written: the broker blocks publishers, or the delivery was lost. */
  signal: AbortSignal;
  /** Called when the broker has not confirmed in time. */
  onTimeout(): void;
  /** Whether each batch waits for the confirm of the one before it; default false. */
  isOneByOne?: boolean;
};

type Entry = { batch: Batch; isConfirmed: boolean };

/** The queue itself refused a batch (nack), as one that is full does. */
export class QueueRefusal extends AppError {
  constructor() {
    super('client-queue-busy', "the client's queue takes no more messages");
  }
}

/** A queue that refused a batch may have taken the next one; a broker that is busy keeps the order. */
export function withOrder(stream: DatasetStream, error: unknown): DatasetStream {
  return error instanceof QueueRefusal ? { ...stream, isOneByOne: true } : stream;
}

/** Creates the sink of one chunk of one stream. */
export function createQueueSink({
  queue,
  exchange = '',
  openChannel,
  toMessage,
  maxRetries,
  signal,
  onTimeout,
  isOneByOne = false,
}: QueueSinkOptions): QueueSink {
  const unconfirmed: Entry[] = [];
  let confirmed = 0;
  let failures = 0;
  let channel: SinkChannel | undefined;
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
  async function mendOrWait(): Promise<void> {
    signal.throwIfAborted();
    if (broken) await reopen(broken);
    else if (!(await within(CONFIRM_TIMEOUT_MS, changed.promise))) {
      onTimeout();
      breakOff(new AppError('client-queue-unavailable', 'no confirm came in time'));
    }
  }

  /** A fresh channel, on which everything unconfirmed is published again. */
  async function reopen(reason: Error): Promise<void> {
    closeChannel();
    if (reason instanceof TerminalError || reason instanceof QueueRefusal || failures > maxRetries)
      throw reason;
    if (failures > 0) await backOff(failures, { ...RETRY, signal });
    signal.throwIfAborted();
    failures += 1;
    try {
      channel = watch(await openChannel());
    } catch (error) {
      broken = toQueueError(error);
      return;
    }
    // Somebody else may have the delivery by now.
    signal.throwIfAborted();
    broken = undefined;
    for (const entry of unconfirmed) write(entry, channel);
  }

  function watch(opened: SinkChannel): SinkChannel {
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

  function write(entry: Entry, to: SinkChannel): void {
    entry.isConfirmed = false;
    const { body, options } = toMessage(entry.batch);
    try {
      to.publish(exchange, queue, body, { ...options, mandatory: true, persistent: true }, (error) => {
        if (to === channel && !broken) onConfirm(entry, error);
      });
    } catch (error) {
      breakOff(toQueueError(error));
    }
  }

  function onConfirm(entry: Entry, error: unknown): void {
    if (error) {
      onRefusal(error as Error);
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

  /** amqplib calls back so when the channel closes as well, whose own event tells why. */
  function onRefusal({ message }: Error): void {
    if (message === 'message nacked') breakOff(new QueueRefusal());
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
    (unconfirmed.length < (isOneByOne ? 1 : WINDOW_BATCHES) && unconfirmedBytes(unconfirmed) < WINDOW_BYTES);

  return {
    async send(batch) {
      signal.throwIfAborted();
      while (broken || !hasRoom()) await mendOrWait();
      const entry = { batch, isConfirmed: false };
      unconfirmed.push(entry);
      if (channel) write(entry, channel);
    },
    async flush() {
      // A channel that broke behind the last confirm is of no use any more.
      while (unconfirmed.length > 0) await mendOrWait();
    },
    confirmed: () => confirmed,
    close() {
      // A composite signal with a listener is never collected, and would keep all of this.
      signal.removeEventListener('abort', change);
      unconfirmed.length = 0;
      closeChannel();
    },
  };
}

function unconfirmedBytes(entries: readonly Entry[]): number {
  return entries.reduce((sum, { batch }) => sum + batch.base64.length, 0);
}
