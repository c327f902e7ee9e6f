/** What a message in the queue of dead letters says. */
import { createHash } from 'node:crypto';
import { DEAD_LETTER_HEADERS as HEADERS } from '@waybill/common/broker/dead-letter.ts';
import {
  BATCH_CONTENT_TYPE,
  EVENT_CONTENT_TYPE,
  parseForwardedJson,
} from '@waybill/common/event/event-json.ts';
import { mediaType } from '@waybill/common/event/media-type.ts';
import type { GetMessage, MessagePropertyHeaders } from 'amqplib';

/** Digits of a digest: two of a million dead letters share theirs with a probability of 1 in 500. */
const DIGEST_LENGTH = 12;

/** Whatever has an id and a type: it may lie here because it is no valid event. */
export type Event = { id: string; type: string; [attribute: string]: unknown };
export type DeadLetter = ReturnType<typeof readDeadLetter>;

/**
 * @param message either from a service, with its headers, or from the broker itself, which dead-letters a whole message as
 *   it was and says why in `x-death`
 */
export function readDeadLetter(message: GetMessage) {
  const { properties, content, fields } = message;
  const headers = { ...properties.headers, ...deathHeaders(properties.headers ?? {}) };
  const events = readEvents(properties.contentType, content);
  const [first] = events ?? [];
  return {
    message,
    /** Undefined where the bytes are no events. */
    events,
    eventCount: events?.length ?? 0,
    isBatch: mediaType(properties.contentType) === BATCH_CONTENT_TYPE,
    /** The event's, or else a digest of the bytes. */
    id: first && events?.length === 1 ? first.id : digest(content),
    type: first?.type,
    reason: text(headers[HEADERS.reason]) ?? 'unknown',
    errorCode: text(headers[HEADERS.errorCode]),
    errorMessage: text(headers[HEADERS.errorMessage]),
    attempts: headers[HEADERS.attempts] as number | undefined,
    /** The queue it failed in. */
    queue: text(headers[HEADERS.queue]),
    routingKey: fields.routingKey,
    deadLetteredAt: toTime(headers[HEADERS.time]),
    traceId: text(headers[HEADERS.traceId]) ?? (events?.length === 1 ? traceIdOf(first) : undefined),
  };
}

/** @param wanted its own id, or that of an event in it */
export function hasId({ id, events }: DeadLetter, wanted: string) {
  return id === wanted || (events ?? []).some((event) => event.id === wanted);
}

/** What the broker says of a message that it dead-lettered itself, as a service would have said it. */
export function deathHeaders(headers: MessagePropertyHeaders): Record<string, string> {
  const [death] = headers['x-death'] ?? [];
  if (!death || headers[HEADERS.reason] !== undefined) return {};
  const seconds = Number(death.time?.value); // an AMQP timestamp
  return {
    [HEADERS.reason]: String(death.reason),
    [HEADERS.queue]: String(death.queue),
    ...(seconds > 0 && { [HEADERS.time]: new Date(seconds * 1000).toISOString() }),
  };
}

/** With the digits of all numbers: they are shown, and go on when it is replayed. */
function readEvents(contentType: string | undefined, content: Buffer): Event[] | undefined {
  try {
    const value = parseForwardedJson(content);
    const events = { [EVENT_CONTENT_TYPE]: [value], [BATCH_CONTENT_TYPE]: value }[mediaType(contentType)];
    if (Array.isArray(events) && events.length > 0 && events.every(isEvent)) return events;
  } catch {
    // no JSON: no events
  }
  return undefined;
}

function isEvent(value: Partial<Event> | null): value is Event {
  return typeof value?.id === 'string' && typeof value.type === 'string';
}

function digest(content: Buffer) {
  return createHash('sha256').update(content).digest('hex').slice(0, DIGEST_LENGTH);
}

function traceIdOf(event: Event | undefined) {
  return typeof event?.traceparent === 'string' ? event.traceparent.split('-')[1] : undefined;
}

function text(value: unknown) {
  return value === undefined ? undefined : String(value);
}

function toTime(value: unknown) {
  const time = new Date(String(value));
  return Number.isNaN(time.getTime()) ? undefined : time;
}
