/**
 * The event: CloudEvents 1.0, as a plain object in the shape of its JSON format.
 *
 * Every tier reads events from outside its process through {@link toEvent}, so a value of type {@link CloudEvent}
 * has been checked. Encodings: `event-json.ts` beside this file (AMQP, structured and batched HTTP), and
 * `event-http.ts` of public-web (the HTTP binding at the edge).
 */
import { AppError } from '../errors.ts';
import { isMediaType } from './media-type.ts';
import { isRfc3339 } from './rfc3339.ts';
import { isUri, isUriReference } from './uri.ts';

/** A CloudEvent. The attributes after `data_base64` are Waybill's own extensions. */
export type CloudEvent = {
  specversion: '1.0';
  id: string;
  source: string;
  type: string;
  /** RFC 3339. */
  time?: string;
  subject?: string;
  dataschema?: string;
  datacontenttype?: string;
  data?: unknown;
  data_base64?: string;
  /** Random key under which public-web parked the request. Copied to the reply. */
  correlationid?: string;
  /** The sender's span (CloudEvents Distributed Tracing extension). */
  traceparent?: string;
  tracestate?: string;
  /** RFC 3339 deadline; after it no tier starts work on the event. Absent: no deadline. */
  expirytime?: string;
  /** Signed reply address. Copied to the reply unread. */
  replyto?: string;
  /** `<service>/<instance>` that made the reply. */
  handledby?: string;
  /** How many further events of handlers led to it, one after the other. Absent: it was sent. */
  hops?: number;
  /** The `traceparent` under which it failed, on an event that was replayed from the dead letters. */
  replayof?: string;
  /** A client's own extension. */
  [extension: string]: unknown;
};

/** The attributes that only Waybill sets: the edge removes them from what comes in and from what goes out. */
export const INTERNAL_ATTRIBUTES = [
  'correlationid',
  'traceparent',
  'tracestate',
  'expirytime',
  'replyto',
  'handledby',
  'hops',
  'replayof',
] as const;

/** What a type may look like. */
export const EVENT_TYPE_PATTERN = /^[A-Za-z0-9._-]{1,128}$/;

/** The type of a reply that reports a failure; its data is an RFC 9457 problem. */
export const PROBLEM_TYPE = 'waybill.Problem';

/** The type of the reply of a handler that has nothing to say. It has no data; where HTTP has a word for it, it is a 204. */
export const NO_CONTENT_TYPE = 'waybill.NoContent';

/** The type of the event by which a client is to be sent a dataset. It enters by its own endpoints only. */
export const NEW_CLIENT_TYPE = 'NewClientRequest';

/** Longest `id`, `source`, `subject` and the like accepted: it bounds headers, log lines and span attributes. */
const MAX_ATTRIBUTE_LENGTH = 2048;
const MAX_ID_LENGTH = 128;
/** Without Waybill's own, so that what the edge took is not refused for what the tiers add. */
const MAX_ATTRIBUTES = 64;

/** `constructor` is refused by every JSON parser on the way, with all events of its batch. */
const ATTRIBUTE_NAME = /^(?!constructor$)[a-z0-9]{1,64}$/;
/** What needs no look at each character, which takes four times as long. */
const PLAIN = /^[\x20-\x7e]*$/;
/** The type Integer (CloudEvents 1.0.2, section 3.1). */
const MIN_INTEGER = -(2 ** 31);
const MAX_INTEGER = 2 ** 31 - 1;
/** Attributes that are strings and not empty (CloudEvents 1.0, section 3); the values of extensions are freer. */
const NON_EMPTY_STRINGS: ReadonlySet<string> = new Set([
  'source',
  'subject',
  'dataschema',
  'datacontenttype',
  ...INTERNAL_ATTRIBUTES,
]);

/**
 * Checks that `value` is a CloudEvents 1.0 event in JSON format and returns it. A `null` attribute is an absent one
 * (JSON format, section 2.2) and is removed.
 *
 * @throws AppError `invalid-request` naming the attribute at fault.
 */
export function toEvent(value: unknown): CloudEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('an event is a JSON object');
  const event = value as Record<string, unknown>;
  if (event.specversion !== '1.0') throw invalid('specversion must be "1.0"');
  const names = Object.keys(event);
  if (countForeign(names) > MAX_ATTRIBUTES)
    throw invalid(`an event has at most ${MAX_ATTRIBUTES} attributes`);
  for (const name of names) checkAttribute(event, name);
  for (const name of ['id', 'source', 'type']) if (!event[name]) throw invalid(`${name} is missing`);
  if (event.data !== undefined && event.data_base64 !== undefined)
    throw invalid('data and data_base64 exclude each other');
  return event as CloudEvent;
}

/** Milliseconds since the epoch at which the event expires; `Infinity` when it has no deadline. */
export function expiryMs({ expirytime }: CloudEvent): number {
  return expirytime === undefined ? Number.POSITIVE_INFINITY : parseTime(expirytime);
}

let lastTime = '';
let lastTimeMs = Number.NaN;

/** `Date.parse` of the text; every tier asks several times for an event, and its neighbours often have the same deadline. */
function parseTime(text: string): number {
  if (text !== lastTime) lastTimeMs = Date.parse(text);
  lastTime = text;
  return lastTimeMs;
}

/** Removes what only Waybill sets. Changes and returns the event given. */
export function stripInternal(event: CloudEvent): CloudEvent {
  for (const name of INTERNAL_ATTRIBUTES) if (name in event) delete event[name];
  return event;
}

function countForeign(names: string[]): number {
  if (names.length <= MAX_ATTRIBUTES) return names.length;
  return names.filter((name) => !(INTERNAL_ATTRIBUTES as readonly string[]).includes(name)).length;
}

/** Attributes that neighbours often share, and what they were when they were right last: a comparison tells that they are again. */
const lastRight = new Map<string, unknown>(
  ['source', 'type', 'replyto', 'expirytime', 'datacontenttype', 'handledby'].map((name) => [
    name,
    Number.NaN,
  ]),
);

function checkAttribute(event: Record<string, unknown>, name: string): void {
  const value = event[name];
  if (value === undefined || value === lastRight.get(name)) return;
  checkValue(event, name, value);
  if (lastRight.has(name)) lastRight.set(name, event[name]);
}

function checkValue(event: Record<string, unknown>, name: string, value: unknown): void {
  if (value === null && name !== 'data') {
    delete event[name];
    return;
  }
  switch (name) {
    case 'specversion':
    case 'data':
      return;
    case 'id':
      checkString(name, value, MAX_ID_LENGTH);
      return;
    case 'type':
      if (typeof value !== 'string' || !EVENT_TYPE_PATTERN.test(value))
        throw invalid(`type must match ${EVENT_TYPE_PATTERN.source}`);
      return;
    case 'data_base64':
      if (typeof value !== 'string' || !isBase64(value)) throw invalid('data_base64 must be base64');
      return;
  }
  if (name === 'time' || name === 'expirytime') {
    checkTime(name, value);
    return;
  }
  if (name === 'hops') {
    if (!isInteger(value) || Number(value) < 0) throw invalid('hops must be an integer from 0 up');
    return;
  }
  if (!ATTRIBUTE_NAME.test(name))
    throw invalid(`attribute names are lower-case letters and digits: ${name.slice(0, 64)}`);
  if (!NON_EMPTY_STRINGS.has(name))
    if (typeof value === 'boolean' || isInteger(value) || value === '') return;
  checkString(name, value, MAX_ATTRIBUTE_LENGTH);
  if (name === 'source' && !isUriReference(value)) throw invalid('source must be a URI reference (RFC 3986)');
  if (name === 'dataschema' && !isUri(value))
    throw invalid('dataschema must be a URI with a scheme (RFC 3986)');
  if (name === 'datacontenttype' && !isMediaType(value))
    throw invalid('datacontenttype must be a media type');
}

/** A number that is no such integer cannot be an attribute: there is no other type of numbers. */
function isInteger(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= MIN_INTEGER && Number(value) <= MAX_INTEGER;
}

function checkString(name: string, value: unknown, maxLength: number): asserts value is string {
  if (typeof value !== 'string' || value === '') throw invalid(`${name} must be a non-empty string`);
  if (value.length > maxLength) throw invalid(`${name} is longer than ${maxLength} characters`);
  if (PLAIN.test(value)) return;
  if (hasForbiddenCharacter(value)) throw invalid(`${name} has a control character or a noncharacter`);
  if (!value.isWellFormed()) throw invalid(`${name} has half a surrogate pair`);
}

function checkTime(name: string, value: unknown): void {
  // A deadline is compared with the clock, which knows no leap seconds.
  const isReadable = typeof value === 'string' && (name === 'time' || !Number.isNaN(parseTime(value)));
  if (!isReadable || !isRfc3339(value)) throw invalid(`${name} must be an RFC 3339 time`);
}

/** CloudEvents 1.0.2, section 3.1: strings have no control characters and none of Unicode's noncharacters. */
function hasForbiddenCharacter(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true;
    if (code >= 0xd800 && isNoncharacter(value.codePointAt(i) as number)) return true;
  }
  return false;
}

function isNoncharacter(codePoint: number): boolean {
  return (codePoint & 0xfffe) === 0xfffe || (codePoint >= 0xfdd0 && codePoint <= 0xfdef);
}

function isBase64(value: string): boolean {
  return value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value);
}

function invalid(message: string): AppError {
  return new AppError('invalid-request', message);
}
