/** The CloudEvents JSON format and JSON batch format: what travels over AMQP and between public-web and dispatcher. */
import { AppError } from '../errors.ts';
import { type CloudEvent, toEvent } from './event.ts';
import { mediaType } from './media-type.ts';
import { MAX_INTERNAL_JSON_DEPTH, parseJson } from './parse-json.ts';

/** Media type of one event. */
export const EVENT_CONTENT_TYPE = 'application/cloudevents+json';
/** Media type of a JSON array of events. */
export const BATCH_CONTENT_TYPE = 'application/cloudevents-batch+json';

/** An encoded message: one event as itself, several as a batch. */
export type EncodedEvents = { contentType: string; body: Buffer };

/** An event with its JSON text, so that it is serialised once however often it is measured, batched or retried. */
export type EncodedEvent = { event: CloudEvent; json: string; bytes: number };

/** Serialises `event` once. */
export function encodeEvent(event: CloudEvent): EncodedEvent {
  const json = JSON.stringify(event);
  return { event, json, bytes: Buffer.byteLength(json) };
}

/** Packs events into the body of one AMQP message. One event alone goes in the JSON format. */
export function encodeMessage(events: readonly EncodedEvent[]): EncodedEvents {
  const [first] = events;
  if (events.length === 1 && first)
    return { contentType: EVENT_CONTENT_TYPE, body: Buffer.from(first.json, 'utf8') };
  return { contentType: BATCH_CONTENT_TYPE, body: encodeBatch(events) };
}

/** Packs events into a JSON batch, also when there is only one. */
export function encodeBatch(events: readonly EncodedEvent[]): Buffer {
  return Buffer.from(`[${events.map(({ json }) => json).join(',')}]`, 'utf8');
}

/**
 * Unpacks the body of a message. Numbers that no double holds keep their digits, as `JSON.rawJSON` objects, unless
 * `roundsNumbers`, which is for a tier that reads the data instead of passing it on.
 *
 * @throws AppError `unsupported-media-type` for another content type, `invalid-request` for anything that is not
 * events. A batch with one event at fault is at fault as a whole: its sender is a tier of ours.
 */
export function decodeMessage(
  { contentType, body }: EncodedEvents,
  { roundsNumbers = false }: { roundsNumbers?: boolean } = {},
): CloudEvent[] {
  const parse = roundsNumbers ? parseInternalJson : parseForwardedJson;
  switch (mediaType(contentType)) {
    case EVENT_CONTENT_TYPE:
      return [toEvent(parse(body))];
    case BATCH_CONTENT_TYPE:
      return toArray(parse(body)).map(toEvent);
    default:
      throw new AppError(
        'unsupported-media-type',
        `${contentType || 'no content type'} does not carry events`,
      );
  }
}

/** Parses what a tier of ours sent, for a tier that passes it on: with the digits of all numbers. */
export function parseForwardedJson(body: Buffer): unknown {
  return parseJson(body, { maxDepth: MAX_INTERNAL_JSON_DEPTH, maxKeptNumbers: Number.POSITIVE_INFINITY });
}

function parseInternalJson(body: Buffer): unknown {
  return parseJson(body, { maxDepth: MAX_INTERNAL_JSON_DEPTH });
}

/** The value as an array; @throws AppError `invalid-request` when it is none. */
export function toArray(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new AppError('invalid-request', 'a batch is a JSON array of events');
  return value;
}
