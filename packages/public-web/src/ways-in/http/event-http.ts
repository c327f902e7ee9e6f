/**
 * The CloudEvents HTTP binding (binary, structured, batched), and the plain JSON shape
 * `{ "id"?, "type", "data"? }` that clients of the three-tier ping system send.
 *
 * A request is answered in the mode it came in.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, stripInternal, toEvent } from '@waybill/common/event/event.ts';
import {
  assertAnswerable,
  encodeHeader,
  headersOf,
  isEventFormat,
} from '@waybill/common/event/event-headers.ts';
import { BATCH_CONTENT_TYPE, EVENT_CONTENT_TYPE, toArray } from '@waybill/common/event/event-json.ts';
import { charsetOf, isJsonType, isMediaType, mediaType } from '@waybill/common/event/media-type.ts';
import { MAX_KEPT_NUMBERS, parseJson } from '@waybill/common/event/parse-json.ts';

/** How a client wrapped its events. */
export type HttpMode = 'plain' | 'binary' | 'structured' | 'batched';

/** An HTTP request as the codec sees it. Header names are lower case, as Node gives them. */
export type HttpMessage = { headers: IncomingHttpHeaders; body: Buffer };

/** What a request held. In batched mode an event at fault stands as its error, so that its neighbours can go on. */
export type DecodedRequest =
  | { mode: Exclude<HttpMode, 'batched'>; events: [CloudEvent] }
  | { mode: 'batched'; events: (CloudEvent | AppError)[] };

/**
 * Reads the events of a request.
 *
 * @param defaultSource the `source` of plain events, which bring none.
 * @param admitBatch told how many events a batch has before any of them is looked at; what it throws is thrown.
 * @throws AppError `invalid-request` naming the fault, or `unsupported-media-type`.
 */
export function decodeRequest(
  { headers, body }: HttpMessage,
  defaultSource: string,
  admitBatch: (count: number) => void = () => {},
): DecodedRequest {
  const contentType = headers['content-type'];
  const type = mediaType(contentType);
  if (contentType && !isMediaType(contentType))
    throw new AppError(
      'unsupported-media-type',
      'the content type is no media type (RFC 9110, section 8.3.1)',
    );
  switch (type) {
    case EVENT_CONTENT_TYPE:
      return { mode: 'structured', events: [toClientEvent(parseUtf8(contentType, body))] };
    case BATCH_CONTENT_TYPE: {
      const batch = toArray(parseUtf8(contentType, body));
      admitBatch(batch.length);
      return { mode: 'batched', events: batch.map(toEventOrError) };
    }
  }
  // An empty content type says nothing, and is no header that HTTP has (RFC 9110, section 8.3).
  if (isBinary(headers) && !isEventFormat(type) && contentType !== '')
    return { mode: 'binary', events: [decodeBinary({ headers, body })] };
  if (type === 'application/json')
    return { mode: 'plain', events: [decodePlain(parseUtf8(contentType, body), defaultSource)] };
  throw new AppError(
    'unsupported-media-type',
    `${contentType || 'no content type'}: send application/json, application/cloudevents+json, application/cloudevents-batch+json, or ce-* headers`,
  );
}

/** An HTTP response of the codec; one in binary mode has a body of bytes, and a content type only if its event has. */
export type EncodedResponse = { headers: Record<string, string>; body: string | Buffer };

/**
 * Wraps one reply for a client that asked in `mode`. It names the request's event, `requestId`: by its own id in the plain
 * shape, by the extension attribute `requestid` in the others.
 *
 * @throws AppError `handler-failed` in binary mode, when it is not as {@link assertAnswerable} says.
 */
export function encodeResponse(
  mode: Exclude<HttpMode, 'batched'>,
  reply: CloudEvent,
  requestId: string,
): EncodedResponse {
  if (mode === 'binary') return encodeBinary(reply, requestId);
  if (mode === 'structured')
    return {
      headers: { 'content-type': EVENT_CONTENT_TYPE },
      body: JSON.stringify({ ...reply, requestid: requestId }),
    };
  return {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id: requestId, type: reply.type, data: plainData(reply) }),
  };
}

/** Wraps the replies of a batch, one per input and in order. */
export function encodeBatchResponse(replies: readonly CloudEvent[]): EncodedResponse {
  return { headers: { 'content-type': BATCH_CONTENT_TYPE }, body: JSON.stringify(replies) };
}

/** What only Waybill sets is ignored in a client's event, also where it is malformed. */
function toClientEvent(value: unknown): CloudEvent {
  if (typeof value === 'object' && value !== null) stripInternal(value as CloudEvent);
  return toEvent(value);
}

function toEventOrError(value: unknown): CloudEvent | AppError {
  try {
    return toClientEvent(value);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** Parses a body that is JSON. Data of other content types is opaque, whatever its charset. */
function parseUtf8(contentType: string | undefined, body: Buffer): unknown {
  const charset = charsetOf(contentType);
  if (charset !== undefined && !/^utf-?8$/.test(charset))
    throw new AppError('unsupported-media-type', `charset ${charset}: send UTF-8`);
  return parseJson(body, { maxKeptNumbers: MAX_KEPT_NUMBERS });
}

function decodePlain(value: unknown, source: string): CloudEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new AppError('invalid-request', 'a plain event is a JSON object {"id"?, "type", "data"?}');
  const { id, type, data } = value as { id?: unknown; type?: unknown; data?: unknown };
  if (type === undefined) throw new AppError('invalid-request', 'type is missing');
  return toEvent({ specversion: '1.0', id: id ?? randomUUID(), source, type, data });
}

function isBinary({
  'ce-specversion': specversion,
  'ce-id': id,
  'ce-source': source,
  'ce-type': type,
}: IncomingHttpHeaders): boolean {
  return (specversion ?? id ?? source ?? type) !== undefined;
}

function decodeBinary({ headers, body }: HttpMessage): CloudEvent {
  // From entries, so that `ce-__proto__` becomes an attribute, and is refused like any other wrong name.
  const event: Record<string, unknown> = Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith('ce-'))
      .map(([name, value]) => [name.slice(3), decodeHeader(name, String(value))]),
  );
  for (const name of ['data', 'data_base64', 'datacontenttype'])
    if (name in event) throw new AppError('invalid-request', `ce-${name} is not a header of the binary mode`);
  const contentType = headers['content-type'];
  if (contentType !== undefined) event.datacontenttype = contentType;
  if (body.length > 0) {
    // Without a content type they are just bytes (RFC 9110, section 8.3).
    if (contentType !== undefined && isJsonType(contentType)) event.data = parseUtf8(contentType, body);
    else event.data_base64 = body.toString('base64');
  }
  return toClientEvent(event);
}

function encodeBinary(event: CloudEvent, requestId: string): EncodedResponse {
  assertAnswerable(event);
  const { data, data_base64 } = event;
  const headers = headersOf(event);
  headers['ce-requestid'] = encodeHeader(requestId);
  if (data_base64 !== undefined) return { headers, body: Buffer.from(data_base64, 'base64') };
  if (data === undefined) return { headers, body: Buffer.alloc(0) };
  // An absent content type means JSON (JSON format, section 3.1), which the binary mode has to say.
  headers['content-type'] ??= 'application/json';
  const isText = typeof data === 'string' && !isJsonType(headers['content-type']);
  return { headers, body: Buffer.from(isText ? data : JSON.stringify(data)) };
}

/** HTTP binding, section 3.1.3.2: quoted strings are still read, because CloudEvents 1.0.0 wrote them. */
function decodeHeader(name: string, value: string): string {
  // Node reads bytes as Latin-1. Whether they were meant as that or as UTF-8, nobody can tell.
  if (/[\x80-\xff]/.test(value))
    throw new AppError('invalid-request', `${name} has bytes beyond ASCII: percent-encode them as UTF-8`);
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value)?.[1];
  const text = quoted === undefined ? value : quoted.replace(/\\(.)/g, '$1');
  try {
    return decodeURIComponent(text.replace(/%(?![0-9A-Fa-f]{2})/g, '%25'));
  } catch (cause) {
    throw new AppError('invalid-request', `${name} is not percent-encoded UTF-8`, { cause });
  }
}

function plainData(reply: CloudEvent): unknown {
  return reply.data_base64 === undefined ? reply.data : { base64: reply.data_base64 };
}
