/** Turns of streams, for tests. */
import { pino } from 'pino';
import type { DatasetStream } from './dataset-stream.ts';
import type { Turn } from './turn.ts';

const never = new AbortController().signal;

/** A turn of the stream `stream`, at its beginning unless `changes` say otherwise, in a process that goes on. */
export function turnOf(changes: Partial<DatasetStream> = {}, turn: Partial<Turn> = {}): Turn {
  const stream: DatasetStream = {
    id: 'stream',
    client: {
      client_id: 'user123',
      queue_name: 'queue',
      amqp_host: 'localhost',
      amqp_port: 5672,
      credentials: 'sealed',
    },
    dataset: { name: 'test', batchSize: 30 },
    nextIndex: 0,
    acceptedAt: new Date().toISOString(),
    ...changes,
  };
  return {
    eventId: `${stream.id}/${stream.nextIndex}`,
    stream,
    handling: { signal: never, stopping: never, attempt: 1, log: pino({ level: 'silent' }) },
    ...turn,
  };
}
