/** A chunk of a stream: batches from the dataset service into the client's queue, as many as one turn has. */
import { context, propagation, trace } from '@opentelemetry/api';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { AppError } from '@waybill/common/errors.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import type { ChannelModel } from 'amqplib';
import { toBatchMessage } from './batch-message.ts';
import { inTime, makeExchange } from './client-queue.ts';
import type { DatasetSource } from './dataset-source.ts';
import type { DatasetStream } from './dataset-stream.ts';
import { isHandedOver, readingSignal } from './hand-over.ts';
import { PAUSE_MS } from './pause.ts';
import { createQueueSink, type QueueSink, withOrder } from './queue-sink.ts';
import { streamBatches } from './stream-batches.ts';
import type { Handling, TurnOutcome } from './turn.ts';

/** A chunk ends after as many batches, or as long, whichever comes first (docs/data-dispatch.md). */
const CHUNK_BATCHES = 32;
const CHUNK_MS = 1_000;
/** A broker that confirms slowly, but confirms, is left with what it has after this. */
const CHUNK_LIMIT_MS = 30_000;

export type Chunk = {
  model: ChannelModel;
  /** Aborts, with the error to end on, when the client's broker blocks publishers. */
  blocked: AbortSignal;
  stream: DatasetStream;
  handling: Handling;
  source: DatasetSource;
  /** How often in a row publishing may fail before the chunk ends. */
  maxRetries: number;
};

/**
 * Sends a chunk; resolves with where the stream goes on, behind what has arrived, or with nothing after its last batch.
 *
 * @throws what ended the chunk, unless another turn may mend it and batches have arrived: what has arrived is not sent
 * again, and the attempts count anew.
 */
export async function sendChunk(chunk: Chunk): Promise<TurnOutcome> {
  const { stream, source, handling, model } = chunk;
  const { signal, stopping, log } = handling;
  const from = stream.nextIndex;
  if (stream.hasOwnExchange) await makeExchange(model, stream.client.queue_name);
  const tooSlow = new AbortController();
  const limit = setTimeout(() => tooSlow.abort(slowBroker()), CHUNK_LIMIT_MS);
  const sink = createSink(chunk, tooSlow.signal);
  const read = source.reader(stream.dataset);
  const reading = readingSignal(handling);
  const endMs = performance.now() + CHUNK_MS;
  try {
    const nextIndex = await streamBatches({
      read: (index) => read(index, reading),
      sink,
      from,
      isOver: (sent) => sent >= CHUNK_BATCHES || performance.now() >= endMs || stopping.aborted,
      signal,
    });
    if (nextIndex !== undefined) return { next: { ...stream, pause: undefined, nextIndex } };
    const batches = from + sink.confirmed();
    log.info({ stream_id: stream.id, client_id: stream.client.client_id, batches }, 'dataset sent');
    return {};
  } catch (error) {
    return cutShort(chunk, from + sink.confirmed(), error);
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

function createSink(
  { model, blocked, stream, handling, maxRetries }: Chunk,
  tooSlow: AbortSignal,
): QueueSink {
  const queue = stream.client.queue_name;
  const traceparent = activeTraceparent();
  return createQueueSink({
    queue,
    exchange: stream.hasOwnExchange ? queue : '',
    openChannel: () => inTime(model, () => model.createConfirmChannel()),
    toMessage: (batch) => toBatchMessage(stream, batch, traceparent),
    maxRetries,
    signal: AbortSignal.any([handling.signal, blocked, tooSlow]),
    isOneByOne: stream.isOneByOne,
    onTimeout: () => breakConnection(model, new Error('no confirm came in time')),
  });
}

/** Where the stream goes on after an error, `nextIndex` being behind what has arrived. */
function cutShort({ stream, handling }: Chunk, nextIndex: number, error: unknown): TurnOutcome {
  if (handling.signal.aborted) throw error;
  const next = { ...stream, pause: undefined, nextIndex };
  if (isHandedOver(error, handling)) return { next };
  if (isRefused(error) && !stream.hasOwnExchange) return { next: { ...next, hasOwnExchange: true } };
  if (!isPassing(error) || nextIndex === stream.nextIndex) throw error;
  handling.log.warn({ stream_id: stream.id, err: error }, 'chunk cut short');
  return { next: withOrder(next, error), delayMs: PAUSE_MS };
}

function slowBroker(): AppError {
  return new AppError('client-queue-busy', 'the broker of the client confirms too slowly');
}

function isPassing(error: unknown): boolean {
  return error instanceof AppError && error.kind === 'retry';
}

function isRefused(error: unknown): boolean {
  return error instanceof TerminalError && error.code === 'client-queue-refused';
}

function activeTraceparent(): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}
