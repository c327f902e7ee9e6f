/**
 * Signs and verifies internal calls: RFC 9421 HTTP Message Signatures with `hmac-sha256` over `@method`, `@path` and
 * `content-digest` (RFC 9530, sha-256), with `created`, `keyid` and `alg`.
 *
 * A signed call may be replayed inside the window by whoever can read the internal network: a second reply is a no-op,
 * but a replayed `POST /events` has its events handled again, as any event may be (handlers bear repetition). Use TLS
 * where that network is not trusted. Sign each attempt anew, or a retry after the window is refused.
 *
 * Only this one profile is spoken, and only in the one form RFC 8941 serialises it to: the signer is one of ours,
 * so anything else is not. It is why no structured-field parser and no library is needed.
 */

import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { Key } from './internal-keys.ts';

/** How far `created` may lie from the verifier's clock, either way. */
export const SIGNATURE_WINDOW_MS = 60_000;

/** What is signed. `path` is the path alone: internal calls have no query, and `@path` would not cover one. */
export type SignableRequest = { method: string; path: string; body: Buffer | string };

/** What has come of a call when its body has not. Header names are in lower case. */
export type ReceivedHead = {
  method: string;
  path: string;
  headers: Record<string, string | string[] | undefined>;
  keys: Key[];
};

/** What a signature that is right says of the rest of its call. */
export type VerifiedHead = { contentDigest: string; createdMs: number };

/** The headers that carry a signature. */
export type SignatureHeaders = { 'content-digest': string; 'signature-input': string; signature: string };

/** The headers that sign `request` with the first of `keys`; send them along with exactly this body. */
export function signRequest(options: SignableRequest & { keys: Key[]; nowMs?: number }): SignatureHeaders {
  const { method, path, body, keys, nowMs = Date.now() } = options;
  const key = keys[0];
  if (!key) throw new AppError('invalid-config', 'there is no key to sign with');
  const contentDigest = digestOf(body);
  const params = `${COMPONENTS};created=${Math.floor(nowMs / 1000)};keyid="${key.kid}";alg="hmac-sha256"`;
  return {
    'content-digest': contentDigest,
    'signature-input': `sig=${params}`,
    signature: signatureOf({ method, path, contentDigest, params, key }),
  };
}

/**
 * Returns if `request` was signed with one of `keys` within the window; else throws `unauthorized`, and the message
 * says why. `headers` are those of a received request, names in lower case; `body` its bytes as received.
 *
 * The time is looked at last, so that only a request correct in all else is told about clocks. That error answers
 * {@link clockSkewMs}.
 */
export function verifyRequest(
  options: ReceivedHead & { body: SignableRequest['body']; nowMs?: number },
): void {
  verifyRest(verifyHead(options), options.body, options.nowMs);
}

/** What {@link verifyHead} leaves to be verified: that this is the body, and the time; else throws `unauthorized`. */
export function verifyRest(
  { contentDigest, createdMs }: VerifiedHead,
  body: SignableRequest['body'],
  nowMs = Date.now(),
): void {
  if (contentDigest !== digestOf(body)) throw unauthorized('content digest does not match');
  assertInWindow(createdMs, nowMs);
}

/**
 * What can be verified before the body is there, which says that somebody with one of `keys` signed: a stranger's body
 * is worth neither reading nor hashing. Returns what is left to be verified; else throws `unauthorized`.
 */
export function verifyHead({ method, path, headers, keys }: ReceivedHead): VerifiedHead {
  const { contentDigest, params, signature, createdMs, kid } = parseHeaders(headers);
  const key = keys.find((candidate) => candidate.kid === kid);
  if (!key) throw unauthorized('unknown key');
  if (!isSame(signature, signatureOf({ method, path, contentDigest, params, key })))
    throw unauthorized('signature does not match');
  return { contentDigest, createdMs };
}

/**
 * By how much the signer's clock is ahead of the verifier's (negative: behind), if `error` is the refusal of a
 * correctly signed request for its time; else undefined.
 *
 * A negative skew alone proves nothing: a recorded request replayed later, or one held up for a minute, looks the
 * same. A positive one needs a clock that is really ahead.
 */
export function clockSkewMs(error: unknown): number | undefined {
  const skewMs = error instanceof AppError ? error.extensions?.clock_skew_ms : undefined;
  return typeof skewMs === 'number' ? skewMs : undefined;
}

const COMPONENTS = '("@method" "@path" "content-digest")';
const SIGNATURE_INPUT_FORM =
  /^sig=(\("@method" "@path" "content-digest"\);created=(0|[1-9]\d{0,11});keyid="([\w.-]{1,64})";alg="hmac-sha256")$/;
const SIGNATURE_FORM = /^sig=:[A-Za-z0-9+/]{43}=:$/;
const CONTENT_DIGEST_FORM = /^sha-256=:[A-Za-z0-9+/]{43}=:$/;

function digestOf(body: Buffer | string): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`;
}

type SignatureParts = { method: string; path: string; contentDigest: string; params: string; key: Key };

/** The `signature` header over the signature base of RFC 9421, section 2.5: no newline after the last line. */
function signatureOf({ method, path, contentDigest, params, key }: SignatureParts): string {
  const base =
    `"@method": ${method}\n"@path": ${path}\n"content-digest": ${contentDigest}\n` +
    `"@signature-params": ${params}`;
  return `sig=:${createHmac('sha256', key.secret).update(base).digest('base64')}:`;
}

function parseHeaders(headers: Record<string, string | string[] | undefined>) {
  const { signature, 'signature-input': signatureInput, 'content-digest': contentDigest } = headers;
  if (signature === undefined || signatureInput === undefined || contentDigest === undefined) {
    throw unauthorized('signature missing');
  }
  const input = SIGNATURE_INPUT_FORM.exec(String(signatureInput));
  const isWellFormed =
    SIGNATURE_FORM.test(String(signature)) && CONTENT_DIGEST_FORM.test(String(contentDigest));
  if (!input || !isWellFormed) throw unauthorized('signature malformed');
  const [, params = '', created = '', kid = ''] = input;
  return {
    contentDigest: String(contentDigest),
    signature: String(signature),
    params,
    createdMs: Number(created) * 1000,
    kid,
  };
}

/** In constant time, and as text: some other base64 texts decode to the same bytes. Both are of one length. */
function isSame(left: string, right: string): boolean {
  return timingSafeEqual(Buffer.from(left), Buffer.from(right));
}

function assertInWindow(createdMs: number, nowMs: number): void {
  const skewMs = createdMs - nowMs;
  if (Math.abs(skewMs) <= SIGNATURE_WINDOW_MS) return;
  throw unauthorized(
    `signature created at ${new Date(createdMs).toISOString()} is outside the window of ` +
      `${SIGNATURE_WINDOW_MS / 1000} s (clocks differ by ${Math.round(Math.abs(skewMs) / 1000)} s)`,
    { clock_skew_ms: skewMs },
  );
}

/** The caller is told by how much the clocks differ, as a member of the problem: it judges its own by that. */
function unauthorized(message: string, extensions?: { clock_skew_ms: number }): AppError {
  return new AppError('unauthorized', message, { extensions });
}
