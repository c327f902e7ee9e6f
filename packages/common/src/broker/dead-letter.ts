import type { CloudEvent } from '../event/event.ts';
import { EVENT_CONTENT_TYPE } from '../event/event-json.ts';
import { deadLetters } from '../telemetry/metrics.ts';
import type { Delivery, Publisher } from './ports.ts';
import { publishUntilConfirmed } from './publish-until-confirmed.ts';

/** Why an event, or a whole message, was given up. */
export const DEAD_LETTER_REASONS = [
  'unparsable',
  'no-handler',
  'too-many-hops',
  'handler-failed',
  'listener-crashed',
  'forged-reply-address',
  'expired-reply-address',
  'unknown-reply-address',
] as const;

/** One of {@link DEAD_LETTER_REASONS}. */
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** The headers of a dead letter. */
export const DEAD_LETTER_HEADERS = {
  reason: 'waybill-reason',
  queue: 'waybill-queue',
  attempts: 'waybill-attempts',
  errorCode: 'waybill-error-code',
  errorMessage: 'waybill-error-message',
  traceId: 'waybill-trace-id',
  time: 'waybill-dead-lettered-at',
} as const;

/** Longest error message kept: headers share one 128 kB frame, and a client's data may be in it. */
const MAX_MESSAGE_LENGTH = 1_000;

/**
 * Puts an event into `waybill.dead-letters`, as it was, with the reason, the attempts, the error without its stack,
 * and its trace id in headers. Without `event` the message goes there raw. The caller acks afterwards.
 *
 * @param attempts how often it was tried, the last time included.
 *
 * @throws AppError `broker-unavailable` when the delivery is lost before the broker confirms.
 */
export async function deadLetter({
  publisher,
  delivery,
  event,
  reason,
  attempts = 1,
  error,
}: {
  publisher: Publisher;
  delivery: Delivery;
  event?: CloudEvent;
  reason: DeadLetterReason;
  attempts?: number;
  error: { code: string; message: string };
}): Promise<void> {
  const traceId = event?.traceparent?.split('-')[1];
  const message = {
    to: { deadLetters: delivery.routingKey },
    contentType: event ? EVENT_CONTENT_TYPE : delivery.contentType,
    body: event ? Buffer.from(JSON.stringify(event), 'utf8') : delivery.body,
    headers: {
      [DEAD_LETTER_HEADERS.reason]: reason,
      [DEAD_LETTER_HEADERS.queue]: delivery.queue,
      [DEAD_LETTER_HEADERS.attempts]: attempts,
      [DEAD_LETTER_HEADERS.errorCode]: error.code,
      [DEAD_LETTER_HEADERS.errorMessage]: error.message.slice(0, MAX_MESSAGE_LENGTH),
      [DEAD_LETTER_HEADERS.time]: new Date().toISOString(),
      ...(traceId ? { [DEAD_LETTER_HEADERS.traceId]: traceId } : {}),
    },
  };
  await publishUntilConfirmed(publisher, message, delivery.signal);
  deadLetters.add(1, { reason, type: reason === 'no-handler' ? '_OTHER' : (event?.type ?? '_OTHER') });
}
