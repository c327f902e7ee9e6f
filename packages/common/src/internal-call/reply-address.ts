/**
 * Reply addresses: where the reply to an event is to be delivered, as a JWT (RFC 7519, HS256, `kid`) that public-web
 * signs, listeners copy unread, and dispatchers verify before they call anyone. Of its claims only `kind` and `exp` are
 * known here; a dispatcher has a deliverer for each kind, which reads the others.
 *
 * Verifying is done by jose. Minting is not: jose signs asynchronously, so it would have to mint ahead on a timer,
 * and after a stalled event loop or a sleeping machine `current()` would have nothing valid to hand out. A compact
 * HS256 token is one HMAC, made when it is asked for.
 */

import { createHmac } from 'node:crypto';
import type { JWTPayload } from 'jose';
import * as errors from 'jose/errors';
import { jwtVerify } from 'jose/jwt/verify';
import { AppError, type ErrorCode } from '../errors.ts';
import { SIGNATURE_WINDOW_MS } from './http-signature.ts';
import type { Key } from './internal-keys.ts';

/** Until `expMs` replies go there; what the other claims are, those know who deliver to addresses of its `kind`. */
export type ReplyAddress = {
  readonly kind: string;
  readonly expMs: number;
  readonly [claim: string]: unknown;
};

/** Why a reply address is of no use. Its kind is unknown only if it is neither forged nor expired. */
export const REPLY_ADDRESS_FAULTS = [
  'forged-reply-address',
  'expired-reply-address',
  'unknown-reply-address',
] as const satisfies ErrorCode[];
export type ReplyAddressFault = (typeof REPLY_ADDRESS_FAULTS)[number];

/** How long one token is handed out before the next is minted. */
const IN_USE_MS = 60_000;
const MAX_TOKEN_BYTES = 4096;

/**
 * What hands out `address`, signed with the first of `keys`. What `current()` returns is valid for at
 * least two times `maxDeadlineMs` from now, also on a dispatcher whose clock is ahead by as much as signed calls allow.
 * It mints at most once a minute, so `exp` is a minute, two deadlines and that window after minting, rounded up to the
 * second (`docs/adr/0001`).
 */
export function createReplyAddresses(options: {
  /** Its kind, and what that needs. */
  address: { readonly kind: string; readonly [claim: string]: unknown };
  keys: Key[];
  maxDeadlineMs: number;
  nowMs?: () => number;
}): { current(): string } {
  const { address, keys, maxDeadlineMs, nowMs = Date.now } = options;
  const key = keys[0];
  if (!key) throw new AppError('invalid-config', 'there is no key to sign reply addresses with');
  const validMs = 2 * maxDeadlineMs + SIGNATURE_WINDOW_MS;
  let token = '';
  let expMs = 0;

  function current(): string {
    const now = nowMs();
    if (expMs < now + validMs) {
      const exp = Math.ceil((now + IN_USE_MS + validMs) / 1000);
      token = mint({ ...address, exp }, key as Key);
      expMs = exp * 1000;
    }
    return token;
  }

  return { current };
}

/**
 * Verifies reply addresses made with any of `keys`: once per token, the result is remembered until it expires; of
 * more than `maxRemembered` the oldest is dropped. Failures are not remembered. `remembered` counts what is held.
 *
 * `verify` rejects with `forged-reply-address` for what is malformed, over 4 kB, or not signed by us with HS256; with
 * `expired-reply-address` for what we signed too long ago.
 */
export function createReplyAddressVerifier(options: {
  keys: Key[];
  maxRemembered?: number;
  nowMs?: () => number;
}): { verify(token: string): Promise<ReplyAddress>; readonly remembered: number } {
  const { keys, maxRemembered = 10_000, nowMs = Date.now } = options;
  const known = new Map<string, ReplyAddress>();
  // A batch brings the same new token many times at once.
  const verifying = new Map<string, Promise<ReplyAddress>>();

  async function verify(token: string): Promise<ReplyAddress> {
    const address = known.get(token) ?? (await (verifying.get(token) ?? startVerifying(token)));
    if (address.expMs > nowMs()) return address;
    known.delete(token);
    throw expired();
  }

  function startVerifying(token: string): Promise<ReplyAddress> {
    const promise = verifyToken(token, keys, nowMs())
      .then((address) => remember(token, address))
      .finally(() => verifying.delete(token));
    verifying.set(token, promise);
    return promise;
  }

  function remember(token: string, address: ReplyAddress): ReplyAddress {
    known.set(token, address);
    forgetOldest();
    return address;
  }

  /** The map is in order of arrival, which is close to the order of expiry. */
  function forgetOldest(): void {
    for (const [token, { expMs }] of known) {
      if (known.size <= maxRemembered && expMs > nowMs()) return;
      known.delete(token);
    }
  }

  return {
    verify,
    get remembered() {
      return known.size + verifying.size;
    },
  };
}

function mint(claims: object, { kid, secret }: Key): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', kid })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

async function verifyToken(token: string, keys: Key[], nowMs: number): Promise<ReplyAddress> {
  if (token.length > MAX_TOKEN_BYTES) throw forged('it is too long');
  const getKey = (header: { kid?: string }) => secretOf(header.kid, keys);
  const options = { algorithms: ['HS256'], requiredClaims: ['exp'], currentDate: new Date(nowMs) };
  const { payload } = await jwtVerify(token, getKey, options).catch((cause) => {
    if (cause instanceof errors.JWTExpired) throw expired(cause);
    throw cause instanceof AppError ? cause : forged(cause.message, cause);
  });
  return toReplyAddress(payload);
}

function secretOf(kid: string | undefined, keys: Key[]): Buffer {
  const key = keys.find((candidate) => candidate.kid === kid);
  if (!key) throw forged('unknown key');
  return key.secret;
}

function toReplyAddress({ exp, kind, ...claims }: JWTPayload): ReplyAddress {
  if (typeof kind !== 'string') throw forged('it is of no kind');
  return { ...claims, kind, expMs: (exp as number) * 1000 };
}

function forged(reason: string, cause?: unknown): AppError {
  return new AppError('forged-reply-address', `the reply address is refused: ${reason}`, { cause });
}

function expired(cause?: unknown): AppError {
  return new AppError('expired-reply-address', 'the reply address is refused: it has expired', { cause });
}
