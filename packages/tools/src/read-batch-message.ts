/** A batch in a client's queue, held against what is promised of such messages. */
import { isRfc3339 } from '@waybill/common/event/rfc3339.ts';
import type { ConsumeMessage } from 'amqplib';
import { UserError } from '../../../bin/plain/user-error.mjs';

export type BatchMessage = {
  streamId: string;
  traceId: string | undefined;
  index: unknown;
  data: unknown;
  isLast: unknown;
};

/** @throws UserError names what is not as promised */
export function readBatchMessage(
  message: ConsumeMessage,
  { client, queue }: { client: string; queue: string },
): BatchMessage {
  const { headers = {}, ...properties } = message.properties;
  const body = parseBody(message.content);
  const { exchange, routingKey } = message.fields;
  const pairs = {
    // The default one, or where that is not allowed one of its own.
    'its exchange': [exchange, exchange === queue ? queue : ''],
    'its routing key': [routingKey, queue],
    'its delivery mode': [properties.deliveryMode, 2],
    'its content type': [properties.contentType, 'application/json'],
    'its AMQP timestamp': [typeof properties.timestamp, 'number'],
    'its header client_id': [headers.client_id, client],
    'its header stream_id': [typeof headers.stream_id, 'string'],
    client_id: [body.client_id, headers.client_id],
    batch_index: [body.batch_index, headers.batch_index],
    is_last_batch: [body.is_last_batch, headers.is_last_batch],
    'its timestamp': [isRfc3339(String(body.timestamp)), true],
  };
  for (const [what, [actual, due]] of Object.entries(pairs)) {
    if (actual === due) continue;
    const name = Number.isInteger(body.batch_index) ? `batch ${body.batch_index}` : 'a message';
    throw new UserError(
      `${name} is not as promised: ${what} is ${JSON.stringify(actual)} and should be ${JSON.stringify(due)}`,
    );
  }
  return {
    streamId: headers.stream_id,
    traceId: String(headers.traceparent ?? '').split('-')[1],
    index: body.batch_index,
    data: body.data,
    isLast: body.is_last_batch,
  };
}

function parseBody(content: Buffer) {
  try {
    const body = JSON.parse(content.toString());
    if (typeof body === 'object' && body !== null) return body;
  } catch {
    // told below
  }
  throw new UserError(`a message of ${content.length} bytes in the queue is not a JSON object`);
}
