/** The form of a batch in a client's queue; to the field as existing consumers expect it. */
import type { Options } from 'amqplib';
import type { DatasetStream } from './dataset-stream.ts';
import type { Batch } from './stream-batches.ts';

/**
 * The message of one batch. Made from the same stream and batch its body is the same to the byte, so that a consumer
 * can tell a repetition: its `timestamp` is when the client was accepted, and the AMQP timestamp when it was published.
 */
export function toBatchMessage(
  stream: DatasetStream,
  { index, isLast, base64 }: Batch,
  traceparent: string | undefined,
): { body: Buffer; options: Options.Publish } {
  const clientId = stream.client.client_id;
  const start = `{"client_id":${JSON.stringify(clientId)},"batch_index":${index},"data":"`;
  const end = `","is_last_batch":${isLast},"timestamp":${JSON.stringify(stream.acceptedAt)}}`;
  return {
    body: Buffer.concat([Buffer.from(start), base64, Buffer.from(end)]),
    options: {
      contentType: 'application/json',
      timestamp: Math.floor(Date.now() / 1000),
      messageId: `${stream.id}/${index}`,
      headers: {
        client_id: clientId,
        // amqplib would write the smallest type that fits, and consumers may insist on one.
        batch_index: { '!': 'int32', value: index },
        is_last_batch: isLast,
        stream_id: stream.id,
        ...(traceparent && { traceparent }),
      },
    },
  };
}
