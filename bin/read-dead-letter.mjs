/** What a message in the queue of dead letters says. */
import { createHash } from 'node:crypto';

/** As in packages/common/src/broker/dead-letter.ts, which only runs on a newer Node. */
const HEADERS = {
  reason: 'waybill-reason',
  queue: 'waybill-queue',
  attempts: 'waybill-attempts',
  errorCode: 'waybill-error-code',
  errorMessage: 'waybill-error-message',
  traceId: 'waybill-trace-id',
  time: 'waybill-dead-lettered-at',
};
const EVENT = 'application/cloudevents+json';
const BATCH = 'application/cloudevents-batch+json';
/** Digits of a digest: two of a million dead letters share theirs with a probability of 1 in 500. */
const DIGEST_LENGTH = 12;

/** @typedef {Record<string, any>} Event */
/** @typedef {ReturnType<typeof readDeadLetter>} DeadLetter */

/**
 * @param {import('amqplib').GetMessage} message either from a service, with its headers, or from the broker itself, which
 * dead-letters a whole message as it was and says why in `x-death`
 */
export function readDeadLetter(message) {
  const { properties, content, fields } = message;
  const headers = { ...properties.headers, ...deathHeaders(properties.headers ?? {}) };
  const events = readEvents(properties.contentType, content);
  const [first] = events ?? [];
  return {
    message,
    /** Undefined where the bytes are no events. */
    events,
    eventCount: events?.length ?? 0,
    isBatch: mediaType(properties.contentType) === BATCH,
    /** The event's, or else a digest of the bytes. */
    id: events?.length === 1 ? String(first?.id) : digest(content),
    type: first && String(first.type),
    reason: text(headers[HEADERS.reason]) ?? 'unknown',
    errorCode: text(headers[HEADERS.errorCode]),
    errorMessage: text(headers[HEADERS.errorMessage]),
    attempts: /** @type {number | undefined} */ (headers[HEADERS.attempts]),
    /** The queue it failed in. */
    queue: text(headers[HEADERS.queue]),
    routingKey: fields.routingKey,
    deadLetteredAt: toTime(headers[HEADERS.time]),
    traceId: text(headers[HEADERS.traceId]) ?? (events?.length === 1 ? traceIdOf(first) : undefined),
  };
}

/**
 * @param {DeadLetter} deadLetter
 * @param {string} wanted its own id, or that of an event in it
 */
export function hasId({ id, events }, wanted) {
  return id === wanted || (events ?? []).some((event) => event.id === wanted);
}

/**
 * What the broker says of a message that it dead-lettered itself, as a service would have said it.
 *
 * @param {Record<string, any>} headers
 * @returns {Record<string, string>}
 */
export function deathHeaders(headers) {
  const [death] = headers['x-death'] ?? [];
  if (!death || headers[HEADERS.reason] !== undefined) return {};
  const seconds = Number(death.time?.value); // an AMQP timestamp
  return {
    [HEADERS.reason]: String(death.reason),
    [HEADERS.queue]: String(death.queue),
    ...(seconds > 0 && { [HEADERS.time]: new Date(seconds * 1000).toISOString() }),
  };
}

/**
 * @param {string | undefined} contentType
 * @param {Buffer} content
 * @returns {Event[] | undefined}
 */
function readEvents(contentType, content) {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
    const events = { [EVENT]: [value], [BATCH]: value }[mediaType(contentType)];
    if (Array.isArray(events) && events.length > 0 && events.every(isEvent)) return events;
  } catch {
    // no JSON: no events
  }
  return undefined;
}

/** @param {any} value */
function isEvent(value) {
  return typeof value?.id === 'string' && typeof value.type === 'string';
}

/** @param {string | undefined} contentType */
function mediaType(contentType) {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** @param {Buffer} content */
function digest(content) {
  return createHash('sha256').update(content).digest('hex').slice(0, DIGEST_LENGTH);
}

/** @param {Event | undefined} event */
function traceIdOf(event) {
  return typeof event?.traceparent === 'string' ? event.traceparent.split('-')[1] : undefined;
}

/** @param {unknown} value */
function text(value) {
  return value === undefined ? undefined : String(value);
}

/** @param {unknown} value */
function toTime(value) {
  const time = new Date(String(value));
  return Number.isNaN(time.getTime()) ? undefined : time;
}
