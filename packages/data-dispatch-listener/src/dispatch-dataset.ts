/**
 * The way of a dataset to one client: the client's broker, its queue, and a chunk of batches into it; then an event to
 * go on with the next chunk. So no delivery is held for long, clients take turns, and a crash repeats a chunk at most.
 */
import { type AllowedBroker, findAllowedBroker } from '@waybill/common/credentials/broker-address.ts';
import type { CredentialsOpener } from '@waybill/common/credentials/sealed-credentials.ts';
import { type Handler, TerminalError } from '@waybill/listener/handler.ts';
import type { ChannelModel } from 'amqplib';
import type { ClientBroker, ClientConnections } from './client-connections.ts';
import { isStream, lookIntoQueue } from './client-queue.ts';
import type { DatasetSource } from './dataset-source.ts';
import { type DatasetStream, readStream, type StreamClient, toContinuation } from './dataset-stream.ts';
import { handOver, readingSignal } from './hand-over.ts';
import { createOneAtATime } from './one-at-a-time.ts';
import { createPause, QueueFull } from './pause.ts';
import { createProgress } from './progress.ts';
import { sendChunk } from './send-chunk.ts';
import type { AroundTurns, TakeTurn } from './turn.ts';

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
  // The outermost first.
  const around: AroundTurns[] = [createOneAtATime(), createProgress(), createPause(options), handOver];
  const takeTurn = around.reduceRight((next, wrap) => wrap(next), createSending(options));

  return async (event, handling) => {
    const stream = readStream(event, options.dataset);
    const { next, delayMs, onConfirmed } = await takeTurn({ eventId: event.id, stream, handling });
    return { events: next && [toContinuation(next, delayMs)], onConfirmed };
  };
}

/** What a turn does: from the client's broker to its queue, and a chunk into it. */
function createSending(options: DispatchDatasetOptions): TakeTurn {
  const { connections, maxReady, maxRetries, source } = options;
  return async ({ stream, handling }) => {
    const isFirst = stream.nextIndex === 0;
    const broker = await brokerOf(stream.client, options);
    // No queue is declared for a dataset that cannot be had. The source keeps the batch until it is sent.
    if (isFirst) await source.reader(stream.dataset)(0, readingSignal(handling));
    const outcome = await connections.withConnection(broker, async (model, blocked) => {
      const ready = await lookIntoQueue(model, { queue: stream.client.queue_name, mayDeclare: isFirst });
      if (ready > maxReady && (await isWaiting(model, stream))) return new QueueFull(ready);
      return await sendChunk({ model, blocked, stream, handling, source, maxRetries });
    });
    // Not thrown until here: it is no failure of the connection.
    if (outcome instanceof QueueFull) throw outcome;
    return outcome;
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
