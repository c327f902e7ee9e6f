/**
 * A client's stream as it travels in events: as the `NewClientRequest` that starts it, and as the
 * `waybill.DatasetContinuation` that says where to go on. The position is nowhere else.
 */
import { type CloudEvent, NEW_CLIENT_TYPE } from '@waybill/common/event/event.ts';
import { type FurtherEvent, TerminalError } from '@waybill/listener/handler.ts';

export const CONTINUATION = 'waybill.DatasetContinuation';

/** Whom the batches are for, as the edge accepted it. */
export type StreamClient = {
  client_id: string;
  queue_name: string;
  amqp_host: string;
  amqp_port: number;
  /** Sealed; opened only to connect. */
  credentials: string;
};

export type DatasetStream = {
  /** The id of the `NewClientRequest`. */
  id: string;
  client: StreamClient;
  /** What the stream began with, whatever the settings say later. */
  dataset: { name: string; batchSize: number };
  nextIndex: number;
  /** When the client was accepted, RFC 3339. */
  acceptedAt: string;
  /** Whether its queue has refused a batch: from then on each waits for the one before it. */
  isOneByOne?: boolean;
  /** Whether its user may not use the default exchange: then batches go by the one that is named as the queue. */
  hasOwnExchange?: boolean;
  /** It waits for its client: since when (RFC 3339), and how many messages waited in the queue when last looked at. */
  pause?: { since: string; ready: number | undefined };
};

/**
 * Reads the stream of an event; one that begins is of `dataset`.
 *
 * @throws TerminalError `invalid-request`: the edge makes no such event.
 */
export function readStream(event: CloudEvent, dataset: DatasetStream['dataset']): DatasetStream {
  const data = event.data as Partial<DatasetStream & StreamClient> | undefined;
  if (event.type === NEW_CLIENT_TYPE) {
    const client = readClient(data);
    return {
      id: event.id,
      client,
      dataset,
      nextIndex: 0,
      acceptedAt: event.time ?? new Date().toISOString(),
    };
  }
  const stream = data as DatasetStream;
  if (!(Number.isInteger(stream?.nextIndex) && typeof stream.id === 'string' && stream.dataset))
    throw new TerminalError('invalid-request', 'the continuation lacks its position');
  return { ...stream, client: readClient(stream.client) };
}

/** The event that goes on with `stream`, in `delayMs` or at once. */
export function toContinuation(
  { id, client, dataset, nextIndex, acceptedAt, isOneByOne, hasOwnExchange, pause }: DatasetStream,
  delayMs?: FurtherEvent['delayMs'],
): FurtherEvent {
  const data = { id, client, dataset, nextIndex, acceptedAt, isOneByOne, hasOwnExchange, pause };
  return { type: CONTINUATION, id: `${id}/${nextIndex}`, data, delayMs, isContinuation: true };
}

function readClient(data: Partial<StreamClient> | undefined): StreamClient {
  const { client_id, queue_name, amqp_host, amqp_port, credentials } = data ?? {};
  if (!client_id || !queue_name || !amqp_host || !amqp_port || !credentials)
    throw new TerminalError('invalid-request', 'the request names no client, queue, broker or credentials');
  return { client_id, queue_name, amqp_host, amqp_port, credentials };
}
