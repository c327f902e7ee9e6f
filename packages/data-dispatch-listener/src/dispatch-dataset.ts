/**
 * The way of a dataset to one client: the client's broker, its queue, and a chunk of batches into it; then an event to
 * go on with the next chunk. So no delivery is held for long, clients take turns, and a crash repeats a chunk at most.
 */
import { context, propagation, trace } from '@opentelemetry/api';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { type AllowedBroker, findAllowedBroker } from '@waybill/common/credentials/broker-address.ts';
import type { CredentialsOpener } from '@waybill/common/credentials/sealed-credentials.ts';
import { AppError } from '@waybill/common/errors.ts';
import {
  type Handler,
  type HandlerContext,
  type HandlerResult,
  TerminalError,
} from '@waybill/listener/handler.ts';
import type { ChannelModel } from 'amqplib';
import { LRUCache } from 'lru-cache';
import { toBatchMessage } from './batch-message.ts';
import type { ClientBroker, ClientConnections } from './client-connections.ts';
import { inTime, isStream, lookIntoQueue, makeExchange } from './client-queue.ts';
import type { DatasetSource } from './dataset-source.ts';
import { type DatasetStream, readStream, type StreamClient, toContinuation } from './dataset-stream.ts';
import { createQueueSink, QueueRefusal } from './queue-sink.ts';
import { streamBatches } from './stream-batches.ts';

/** A chunk ends after as many batches, or as long, whichever comes first (design of continuations). */
const CHUNK_BATCHES = 32;
const CHUNK_MS = 1_000;
/** A broker that confirms slowly, but confirms, is left with what it has after this. */
const CHUNK_LIMIT_MS = 30_000;
/** How soon a client that was busy is looked at again, and one that has been for a while; and what failed under way. */
const PAUSE_MS = 1_000;
const LONG_PAUSE_MS = 5_000;
const LONG_PAUSE_AFTER_MS = 10_000;
/** How far streams have come is remembered for longer than a lost ack takes to come back. */
const PROGRESS_MAX_STREAMS = 20_000;
const PROGRESS_TTL_MS = 10 * 60_000;
/** Longer than the continuation of a chunk that is done takes to be confirmed, unless something is wrong. */
const HAND_OVER_MS = 2_000;

export type DispatchDatasetOptions = {
  source: DatasetSource;
  connections: ClientConnections;
  credentials: CredentialsOpener;
  allowedBrokers: readonly AllowedBroker[];
  /** What a new client gets. */
  dataset: DatasetStream['dataset'];
  maxRetries: number;
  /** A queue with more messages than this waiting is left alone until its client has taken some. */
  maxReady: number;
  /** How long a stream waits for its client, in milliseconds, before it is given up. */
  maxPauseMs: number;
};

/** Creates the handler of `NewClientRequest` and of the continuations it leads to. */
export function createDispatchDataset(options: DispatchDatasetOptions): Handler {
  const { connections, dataset, maxReady, source } = options;
  /** Where this instance knows that a continuation is in the broker for, or that the stream is over. */
  const progress = new LRUCache<string, number>({ max: PROGRESS_MAX_STREAMS, ttl: PROGRESS_TTL_MS });
  /** Of events, until what they led to is confirmed. */
  const underWay = new LRUCache<string, Promise<void>>({ max: PROGRESS_MAX_STREAMS });

  return async (event, handling) => {
    const stream = readStream(event, dataset);
    // A second copy of the event, which a lost confirm leaves behind.
    const before = underWay.get(event.id);
    const { promise: done, resolve: onDone } = Promise.withResolvers<void>();
    underWay.set(event.id, done);
    await before;
    try {
      // Its ack was lost, or that of one before it: a second chain would send the rest twice.
      if (stream.nextIndex < (progress.get(stream.id) ?? 0)) {
        handling.log.info({ stream_id: stream.id }, 'chunk is done already');
        return {};
      }
      const broker = await brokerOf(stream.client, options);
      // No queue is declared for a dataset that cannot be had. The source keeps the batch until it is sent.
      if (stream.nextIndex === 0) await source.reader(stream.dataset)(0, readingSignal(handling));
      return await connections.withConnection(broker, async (model, blocked) => {
        const queue = { queue: stream.client.queue_name, mayDeclare: stream.nextIndex === 0 };
        const ready = await lookIntoQueue(model, queue);
        if (ready > maxReady && (await isWaiting(model, stream)))
          return { ...pause(stream, ready, handling, options), onConfirmed: onDone };
        const next = await sendChunk({ model, blocked, stream, handling, options });
        const onConfirmed = () => {
          const index = next?.nextIndex ?? Number.POSITIVE_INFINITY;
          progress.set(stream.id, Math.max(index, progress.get(stream.id) ?? 0));
          onDone();
        };
        return next ? { events: [toContinuation(next, next.delayMs)], onConfirmed } : { onConfirmed };
      });
    } catch (error) {
      onDone();
      if (isHandedOver(error, handling)) return { events: [toContinuation(stream)] };
      // Patience, as with a queue that is full: nothing is wrong with this stream.
      if (!isBusy(error) || handling.signal.aborted) throw error;
      return pause(withOrder(stream, error), undefined, handling, options);
    } finally {
      setTimeout(onDone, HAND_OVER_MS).unref();
    }
  };
}

/** Whether the messages of the queue wait to be taken: those of a stream do not. Asked once a pause. */
async function isWaiting(model: ChannelModel, { client, pause }: DatasetStream): Promise<boolean> {
  return pause?.ready !== undefined || !(await isStream(model, client.queue_name));
}

/** Checked here as well as at the edge: events may come from elsewhere, and settings differ. */
async function brokerOf(
  client: StreamClient,
  { credentials, allowedBrokers }: DispatchDatasetOptions,
): Promise<ClientBroker> {
  const address = findAllowedBroker(allowedBrokers, { host: client.amqp_host, port: client.amqp_port });
  if (!address)
    throw new TerminalError(
      'broker-not-allowed',
      'the broker of the client is not one that CLIENT_BROKERS allows',
    );
  const { user, pass } = await credentials.open(client.credentials, client);
  return { ...address, user, pass };
}

type Next = DatasetStream & { delayMs?: typeof PAUSE_MS };

/** Sends a chunk; resolves with where to go on, or undefined after the last batch. */
async function sendChunk({
  model,
  blocked,
  stream,
  handling,
  options: { source, maxRetries },
}: {
  model: ChannelModel;
  blocked: AbortSignal;
  stream: DatasetStream;
  handling: HandlerContext;
  options: DispatchDatasetOptions;
}): Promise<Next | undefined> {
  const { nextIndex: from, pause: _, ...rest } = stream;
  const { signal, stopping, log } = handling;
  const traceparent = activeTraceparent();
  const tooSlow = new AbortController();
  const limit = setTimeout(() => tooSlow.abort(slowBroker()), CHUNK_LIMIT_MS);
  const queue = stream.client.queue_name;
  if (stream.hasOwnExchange) await makeExchange(model, queue);
  const sink = createQueueSink({
    queue,
    exchange: stream.hasOwnExchange ? queue : '',
    openChannel: () => inTime(model, () => model.createConfirmChannel()),
    toMessage: (batch) => toBatchMessage(stream, batch, traceparent),
    maxRetries,
    signal: AbortSignal.any([signal, blocked, tooSlow.signal]),
    isOneByOne: stream.isOneByOne,
    onTimeout: () => breakConnection(model, new Error('no confirm came in time')),
  });
  const read = source.reader(stream.dataset);
  const reading = readingSignal(handling);
  const endMs = performance.now() + CHUNK_MS;
  const isOver = (sent: number) => sent >= CHUNK_BATCHES || performance.now() >= endMs || stopping.aborted;
  try {
    const nextIndex = await streamBatches({
      read: (index) => read(index, reading),
      sink,
      from,
      isOver,
      signal,
    });
    if (nextIndex !== undefined) return { ...rest, nextIndex };
    const batches = from + sink.confirmed();
    log.info({ stream_id: stream.id, client_id: stream.client.client_id, batches }, 'dataset sent');
    return undefined;
  } catch (error) {
    if (signal.aborted) throw error;
    const nextIndex = from + sink.confirmed();
    if (isHandedOver(error, handling)) return { ...rest, nextIndex };
    if (isRefused(error) && !stream.hasOwnExchange) return { ...rest, nextIndex, hasOwnExchange: true };
    // What has arrived is not sent again: the next attempt goes on behind it, and counts anew.
    if (!isPassing(error) || nextIndex === from) throw error;
    log.warn({ stream_id: stream.id, err: error }, 'chunk cut short');
    return { ...withOrder(rest, error), nextIndex, delayMs: PAUSE_MS };
  } finally {
    clearTimeout(limit);
    sink.close();
    trace.getActiveSpan()?.addEvent('batches sent', {
      'waybill.stream.id': stream.id,
      'waybill.batch.first': from,
      'waybill.batch.count': sink.confirmed(),
    });
  }
}

/** A dataset service that hangs must not keep a process that is asked to stop from handing over. */
function readingSignal({ signal, stopping }: HandlerContext): AbortSignal {
  return AbortSignal.any([signal, stopping]);
}

function isHandedOver(error: unknown, { signal, stopping }: HandlerContext): boolean {
  return !signal.aborted && stopping.aborted && error === stopping.reason;
}

function slowBroker(): AppError {
  return new AppError('client-queue-busy', 'the broker of the client confirms too slowly');
}

function isPassing(error: unknown): boolean {
  return error instanceof AppError && error.kind === 'retry';
}

function isBusy(error: unknown): boolean {
  return error instanceof AppError && error.code === 'client-queue-busy';
}

function isRefused(error: unknown): boolean {
  return error instanceof TerminalError && error.code === 'client-queue-refused';
}

/** A queue that refused a batch may have taken the next one; a broker that is busy keeps the order. */
function withOrder<S extends Pick<DatasetStream, 'isOneByOne'>>(stream: S, error: unknown): S {
  return error instanceof QueueRefusal ? { ...stream, isOneByOne: true } : stream;
}

/**
 * Looks again later, at the same place. The clock starts anew when the client has taken messages: when fewer wait
 * than the last time.
 */
function pause(
  stream: DatasetStream,
  ready: number | undefined,
  { log }: HandlerContext,
  { maxPauseMs }: DispatchDatasetOptions,
): HandlerResult {
  const last = stream.pause;
  const isTaking = ready !== undefined && last?.ready !== undefined && ready < last.ready;
  const since = isTaking || !last ? new Date().toISOString() : last.since;
  const pausedMs = Date.now() - Date.parse(since);
  if (pausedMs >= maxPauseMs)
    throw new TerminalError('client-queue-full', `the client's queue took nothing for ${maxPauseMs} ms`);
  log.debug({ stream_id: stream.id, ready }, "the client's queue is full, waiting");
  const paused = { ...stream, pause: { since, ready: ready ?? last?.ready } };
  const delayMs = pausedMs < LONG_PAUSE_AFTER_MS ? PAUSE_MS : LONG_PAUSE_MS;
  return { events: [toContinuation(paused, delayMs)] };
}

function activeTraceparent(): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}
