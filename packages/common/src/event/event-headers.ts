/** What of an event becomes an HTTP header in the binary mode of the CloudEvents HTTP binding, and what a header can carry. */
import { AppError } from '../errors.ts';
import { type CloudEvent, INTERNAL_ATTRIBUTES } from './event.ts';
import { charsetOf, mediaType } from './media-type.ts';

/**
 * Whether the media type says that the body is an event or events, in whatever format (HTTP binding, section 3): one
 * that is not spoken here is refused, and not taken for the data of a binary event.
 */
export function isEventFormat(type: string): boolean {
  return type.startsWith('application/cloudevents');
}

/**
 * Asserts that `reply` can be an answer in every mode, also in binary mode: its `datacontenttype` neither says that the
 * body is an event, nor names another charset than the UTF-8 in which its text is sent, and its attributes, percent-
 * encoded, have no more than 8 kB as headers.
 *
 * @throws AppError `handler-failed`
 */
export function assertAnswerable(reply: CloudEvent): void {
  const { datacontenttype, data_base64 } = reply;
  if (isEventFormat(mediaType(datacontenttype)))
    throw new AppError(
      'handler-failed',
      `${datacontenttype} as datacontenttype would make it look structured`,
    );
  const charset = data_base64 === undefined ? charsetOf(datacontenttype) : undefined;
  if (charset !== undefined && !/^(?:utf-?8|us-ascii)$/.test(charset))
    throw new AppError(
      'handler-failed',
      `its charset is ${charset}, and text is sent in UTF-8: give bytes instead`,
    );
  if (!hasShortHeaders(reply) && bytesOf(headersOf(reply)) > MAX_HEADER_BYTES)
    throw new AppError(
      'handler-failed',
      `its attributes make more than ${MAX_HEADER_BYTES} bytes of headers`,
    );
}

/** What common proxies take from a server by default (nginx: 8 kB), and half of what Node's own client does. */
const MAX_HEADER_BYTES = 8 * 1024;
/** Of a UTF-16 code unit, as three bytes of UTF-8 percent-encoded. */
const MAX_ENCODED_LENGTH = 9;
const HEADER_OVERHEAD = 'ce-: \r\n'.length;

/** A cheap look at their number and lengths, which is enough for almost all. */
function hasShortHeaders(event: CloudEvent): boolean {
  let bytes = 0;
  for (const name of Object.keys(event))
    if (!NOT_HEADERS.has(name)) {
      const value = event[name];
      bytes +=
        HEADER_OVERHEAD + name.length + MAX_ENCODED_LENGTH * (typeof value === 'string' ? value.length : 11);
    }
  return bytes <= MAX_HEADER_BYTES;
}

const NOT_HEADERS: ReadonlySet<string> = new Set(['data', 'data_base64', ...INTERNAL_ATTRIBUTES]);

function bytesOf(headers: Record<string, string>): number {
  return Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
}

/** The attributes as headers, but for what only Waybill sets. */
export function headersOf({ datacontenttype, ...attributes }: CloudEvent): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && !NOT_HEADERS.has(name)) headers[`ce-${name}`] = encodeHeader(String(value));
  if (datacontenttype !== undefined) headers['content-type'] = datacontenttype;
  return headers;
}

/** HTTP binding, section 3.1.3.2: header values are percent-encoded UTF-8. */
export function encodeHeader(value: string): string {
  return value.replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) =>
    [...Buffer.from(character, 'utf8')]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}
