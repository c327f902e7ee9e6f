/** The CloudEvents JSON format and JSON batch format: what travels over AMQP and between public-web and dispatcher. */
import { AppError } from '../errors.ts';
import { type CloudEvent, toEvent } from './event.ts';
import { mayHaveInexactNumbers } from './exact-numbers.ts';
import { mediaType } from './media-type.ts';
import { MAX_INTERNAL_JSON_DEPTH, parseJson, parseJsonText, toText } from './parse-json.ts';

/** Media type of one event. */
export const EVENT_CONTENT_TYPE = 'application/cloudevents+json';
/** Media type of a JSON array of events. */
export const BATCH_CONTENT_TYPE = 'application/cloudevents-batch+json';

/**
 * What stands between the events of a batch that we write. No string of JSON has a tab in it, and no other writer sets one before a
 * comma: so such a batch can be taken apart without a look at what is in its events.
 */
const BETWEEN_EVENTS = '\t,';

/** An encoded message: one event as itself, several as a batch. */
export type EncodedEvents = { contentType: string; body: Buffer };

/**
 * An event with its JSON text, so that it is serialised once however often it is measured, batched or retried; and not at all by a
 * tier that passes it on, where the numbers of `event` are rounded, and only its text has all of their digits ({@link exactEvent}).
 */
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
  return Buffer.from(`[${events.map(({ json }) => json).join(BETWEEN_EVENTS)}]`, 'utf8');
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
  const parse = () => parseJson(body, roundsNumbers ? INTERNAL : EXACT);
  return isBatch(contentType) ? toArray(parse()).map(toEvent) : [toEvent(parse())];
}

/** How much deeper than in its batch an event stands in what a store is asked, and answers. */
const HOLDER_LEVELS = 8;

/**
 * Parses what a tier of ours sent, and has events in it, for a tier that passes it on: with the digits of all numbers, and whatever
 * depth those may have.
 */
export function parseForwardedJson(body: Buffer): unknown {
  return parseJson(body, { ...EXACT, maxDepth: MAX_INTERNAL_JSON_DEPTH + HOLDER_LEVELS });
}

/** One of the events of a batch that is passed on: what was read, unchecked, and the text of it. */
export type Forwarded = { value: unknown; json: string };

/**
 * Unpacks the body of a message for a tier that passes its events on, each as the text that it came as.
 *
 * @throws AppError as {@link decodeMessage}.
 */
export function decodeForwarded({ contentType, body }: EncodedEvents): EncodedEvent[] {
  if (isBatch(contentType)) return parseForwardedBatch(body).map(toForwardedEvent);
  const json = toText(body);
  return [toForwardedEvent({ value: parseJsonText(json, INTERNAL), json })];
}

/** Checks an event that is passed on; @throws AppError `invalid-request` naming the attribute at fault. */
export function toForwardedEvent({ value, json }: Forwarded): EncodedEvent {
  return { event: toEvent(value), json, bytes: Buffer.byteLength(json) };
}

/**
 * What stands in a batch that is passed on. One that a tier of ours wrote is cut in pieces; of another one each event is written
 * anew, with the digits of all numbers.
 *
 * @throws AppError `invalid-request` for what is no JSON array.
 */
export function parseForwardedBatch(body: Buffer): Forwarded[] {
  const text = toText(body);
  return readPieces(text) ?? writeAnew(text);
}

/** The event of `encoded` with the digits of all numbers, to be written anew. */
export function exactEvent({ event, json }: EncodedEvent): CloudEvent {
  return mayHaveInexactNumbers(json) ? toEvent(parseJsonText(json, EXACT)) : event;
}

const INTERNAL = { maxDepth: MAX_INTERNAL_JSON_DEPTH };
/** One level less than the batch that it is of. */
const PIECE = { maxDepth: MAX_INTERNAL_JSON_DEPTH - 1 };
/** For what is passed on: numbers that no double holds keep their digits. */
const EXACT = { ...INTERNAL, maxKeptNumbers: Number.POSITIVE_INFINITY };

/**
 * The events of a batch that is written as {@link encodeBatch} does. Each piece is read by itself: whoever cuts elsewhere, inside of an
 * event, has written something else, as what is left of it is no JSON.
 */
function readPieces(text: string): Forwarded[] | undefined {
  if (!text.startsWith('[') || !text.endsWith(']')) return undefined;
  const pieces = text.slice(1, -1).split(BETWEEN_EVENTS);
  try {
    return pieces.map((json) => ({ value: parseJsonText(json, PIECE), json }));
  } catch {
    return undefined;
  }
}

function writeAnew(text: string): Forwarded[] {
  const exact = toArray(parseJsonText(text, EXACT));
  return toArray(parseJsonText(text, INTERNAL)).map((value, index) => ({
    value,
    json: JSON.stringify(exact[index]),
  }));
}

/** @throws AppError `unsupported-media-type` when it is neither a batch nor an event. */
function isBatch(contentType: string): boolean {
  const type = mediaType(contentType);
  if (type === BATCH_CONTENT_TYPE || type === EVENT_CONTENT_TYPE) return type === BATCH_CONTENT_TYPE;
  throw new AppError('unsupported-media-type', `${contentType || 'no content type'} does not carry events`);
}

/** The value as an array; @throws AppError `invalid-request` when it is none. */
export function toArray(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new AppError('invalid-request', 'a batch is a JSON array of events');
  return value;
}
