/** What the `Idempotency-Key` of a request is, and what makes two requests the same. */
import { createHash } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import { INTERNAL_ATTRIBUTES } from '@waybill/common/event/event.ts';
import type { FastifyRequest } from 'fastify';

/** RFC 8941, section 3.3.3: a string holds printable ASCII; `"` and `\` stand behind a `\`. */
const QUOTED = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/;
/** What clients that know no Structured Fields send: without what would end a value (`,`, `;`) or quote it. */
const BARE = /^[!#-+\--:<-[\]-~]+$/;
const MAX_LENGTH = 255;

/** The edge removes these from what clients send, so that they make no other event of it. */
const IGNORED: ReadonlySet<string> = new Set(INTERNAL_ATTRIBUTES.map((name) => `ce-${name}`));

/**
 * Reads the header of draft-ietf-httpapi-idempotency-key-header: a Structured Field string, in double quotes, of 1 to
 * 255 printable ASCII characters. The same without quotes is taken for the same key.
 *
 * @throws AppError `invalid-request`
 */
export function parseIdempotencyKey(header: string | string[]): string {
  const text = String(header);
  const key = QUOTED.exec(text)?.[1]?.replace(/\\(.)/g, '$1') ?? BARE.exec(text)?.[0] ?? '';
  if (key.length < 1 || key.length > MAX_LENGTH)
    throw new AppError(
      'invalid-request',
      `Idempotency-Key must be one string of 1 to ${MAX_LENGTH} printable ASCII characters in double quotes`,
    );
  return key;
}

/** What of a request says what it asks for. */
type Asked = Pick<FastifyRequest, 'method' | 'params' | 'headers' | 'body'> & {
  routeOptions: { url?: string };
};

/**
 * The same for two requests under one key, to one path with the same body and the same event in their headers; SHA-256. The key
 * is part of it, so that whoever reads fingerprints without keys cannot try out what bodies, with passwords in them, they are of.
 */
export function fingerprintOf({ method, routeOptions, params, headers, body }: Asked, key: string): string {
  const attributes = Object.entries(headers)
    .filter(([name]) => name.startsWith('ce-') && !IGNORED.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const asked = [method, routeOptions.url, headers['content-type'], attributes];
  // The parameters of the path last: a key of before that is still kept has none.
  const head = JSON.stringify([key, ...asked, ...Object.values(params as object)]);
  const hash = createHash('sha256').update(head);
  if (Buffer.isBuffer(body)) hash.update(body);
  return hash.digest('base64url');
}
