/**
 * The way of a dataset to one client: the client's broker, its queue, and a chunk of batches into it; then an event to
 * go on with the next chunk. So no delivery is held for long, clients take turns, and a crash repeats a chunk at most.
 */
import { context, propagation, trace } from '@opentelemetry/api';
import { type BrokerAddress, isAllowedBroker } from '@waybill/common/broker-address.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CredentialsOpener } from '@waybill/common/sealed-credentials.ts';
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
import { inTime, lookIntoQueue } from './client-queue.ts';
import type { DatasetSource } from './dataset-source.ts';
import { type DatasetStream, readStream, type StreamClient, toContinuation } from './dataset-stream.ts';
import { createQueueSink, type QueueSink } from './queue-sink.ts';
import { streamBatches } from './stream-batches.ts';

/** A chunk ends after as many batches, or as long, whichever comes first (design of continuations). */
const CHUNK_BATCHES = 32;
const CHUNK_MS = 1_000;
/** How soon a client's queue that was full is looked at again; and a broker or service that failed under way. */
const PAUSE_MS = 1_000;
/** Chunks done are remembered for longer than a lost ack takes to come back, and enough of them for 1,000 streams. */
const FINISHED_MAX = 20_000;
const FINISHED_TTL_MS = 10 * 60_000;

export type DispatchDatasetOptions = {
  source: DatasetSource;
  connections: ClientConnections;
  credentials: CredentialsOpener;
  allowedBrokers: readonly BrokerAddress[];
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
  const { connections, dataset, maxReady } = options;
  const finished = new LRUCache<string, true>({ max: FINISHED_MAX, ttl: FINISHED_TTL_MS });

  return async (event, handling) => {
    // Its ack was lost after the event that goes on was confirmed: a second chain would send everything twice.
    if (finished.has(event.id)) {
      handling.log.info('chunk is done already');
      return {};
    }
    const stream = readStream(event, dataset);
    const broker = await brokerOf(stream.client, options);
    return await connections.withConnection(broker, async (model) => {
      const queue = { queue: stream.client.queue_name, mayDeclare: stream.nextIndex === 0 };
      const ready = await lookIntoQueue(model, queue);
      if (ready > maxReady) return pause(stream, handling, options);
      const next = await sendChunk(model, stream, handling, options);
      const onConfirmed = () => finished.set(event.id, true);
      return next ? { events: [next], onConfirmed } : { onConfirmed };
    });
  };
}

/** Checked here as well as at the edge: events may come from elsewhere, and settings differ. */
async function brokerOf(
  client: StreamClient,
  { credentials, allowedBrokers }: DispatchDatasetOptions,
): Promise<ClientBroker> {
  const address = { host: client.amqp_host, port: client.amqp_port };
  if (!isAllowedBroker(allowedBrokers, address))
    throw new TerminalError(
      'broker-not-allowed',
      'the broker of the client is not one that CLIENT_BROKERS allows',
    );
  const { user, pass } = await credentials.open(client.credentials, client);
  return { ...address, user, pass };
}

/** Sends a chunk; resolves with the event to go on with, or undefined after the last batch. */
async function sendChunk(
  model: ChannelModel,
  stream: DatasetStream,
  { signal, stopping, log }: HandlerContext,
  { source, maxRetries }: DispatchDatasetOptions,
) {
  const { nextIndex: from, pausedAt: _, ...rest } = stream;
  const traceparent = activeTraceparent();
  const sink = createQueueSink({
    queue: stream.client.queue_name,
    openChannel: () => inTime(() => model.createConfirmChannel()),
    toMessage: (batch) => toBatchMessage(stream, batch, traceparent),
    maxRetries,
    signal,
  });
  const endMs = performance.now() + CHUNK_MS;
  const isOver = (sent: number) => sent >= CHUNK_BATCHES || performance.now() >= endMs || stopping.aborted;
  const goOn = (nextIndex: number, delayMs?: typeof PAUSE_MS) =>
    toContinuation({ ...rest, nextIndex }, delayMs);
  try {
    const next = await streamBatches({ read: source.reader(stream.dataset), sink, from, isOver, signal });
    if (next !== undefined) return goOn(next);
    log.info(
      { stream_id: stream.id, client_id: stream.client.client_id, batches: from + sink.confirmed() },
      'dataset sent',
    );
    return undefined;
  } catch (error) {
    // What has arrived is not sent again: the next attempt goes on behind it, and counts anew.
    if (!canGoOn(error, sink) || signal.aborted) throw error;
    log.warn({ stream_id: stream.id, err: error }, 'chunk cut short');
    return goOn(from + sink.confirmed(), PAUSE_MS);
  } finally {
    sink.close();
    trace.getActiveSpan()?.addEvent('batches sent', {
      'waybill.stream.id': stream.id,
      'waybill.batch.first': from,
      'waybill.batch.count': sink.confirmed(),
    });
  }
}

/** Something that may pass, after at least one batch has arrived. */
function canGoOn(error: unknown, sink: QueueSink): boolean {
  return error instanceof AppError && error.kind === 'retry' && sink.confirmed() > 0;
}

/** Looks again later. No chunk is done, so the event is not remembered as finished. */
function pause(
  stream: DatasetStream,
  { log }: HandlerContext,
  { maxPauseMs, maxReady }: DispatchDatasetOptions,
): HandlerResult {
  const { pausedAt = new Date().toISOString() } = stream;
  if (Date.now() - Date.parse(pausedAt) >= maxPauseMs)
    throw new TerminalError(
      'client-queue-full',
      `nobody has taken messages off the client's queue for ${maxPauseMs} ms`,
    );
  log.debug({ stream_id: stream.id, max_ready: maxReady }, "the client's queue is full, waiting");
  return { events: [toContinuation({ ...stream, pausedAt }, PAUSE_MS)] };
}

function activeTraceparent(): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}
