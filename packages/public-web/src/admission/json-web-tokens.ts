/**
 * JSON Web Tokens (RFC 7519) of an issuer that is trusted, by which clients may show who they are in place of an API key.
 *
 * Its public keys are fetched when the first token comes, again for a token of a key that is not known, and every 10 minutes; not
 * within 10 s of the last time, also where that failed. A token that was good is remembered until it expires, but no longer
 * than 10 minutes, as its key may be withdrawn: verifying takes far longer than the rest of a request.
 */
import { hash } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import * as errors from 'jose/errors';
import { createRemoteJWKSet } from 'jose/jwks/remote';
import { jwtVerify } from 'jose/jwt/verify';
import { LRUCache } from 'lru-cache';

/** Whose keys are public; with others, whoever knows the issuer's keys could sign. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
const FETCH_TIMEOUT_MS = 2_000;
const FETCH_AGAIN_MS = 10_000;
const TRUSTED_MS = 10 * 60_000;
/** By how much clocks may differ. */
const CLOCK_TOLERANCE_S = 5;
/** Longer ones fit no header; they carry more than who somebody is. */
const MAX_TOKEN_LENGTH = 8_192;
const MAX_REMEMBERED = 10_000;
/** As long as the id of an API key: it is in the locations of answers. */
const MAX_SUBJECT_BYTES = 128;
/** No control characters, nor half of a surrogate pair: a store may take two such for one. */
const SUBJECT = /^[^\p{Cc}\p{Cs}]+$/u;

/**
 * The subject (`sub`) that a token is about.
 *
 * @throws AppError `unauthorized` for one that was not issued for here, or has expired; `not-accepted` while the issuer's
 *   keys cannot be had.
 */
export type VerifyToken = (token: string) => Promise<string>;

/** Creates {@link VerifyToken}. @param options.audience that tokens have to be for (`aud`) */
export function createVerifyToken({
  jwksUrl,
  issuer,
  audience,
  fetchAgainMs = FETCH_AGAIN_MS,
}: {
  jwksUrl: string;
  issuer: string;
  audience: string;
  /** Least time between two fetches of the keys; default 10 s. */
  fetchAgainMs?: number;
}): VerifyToken {
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cooldownDuration: fetchAgainMs,
    cacheMaxAge: TRUSTED_MS,
  });
  const known = new LRUCache<string, { subject: string; untilMs: number }>({ max: MAX_REMEMBERED });
  let failed: { error: AppError; atMs: number } | undefined;

  return async (token) => {
    if (token.length > MAX_TOKEN_LENGTH) throw new AppError('unauthorized', 'the token is too long');
    const digest = hash('sha256', token, 'base64');
    const nowMs = Date.now();
    const { subject, untilMs = 0 } = known.get(digest) ?? {};
    if (subject !== undefined && nowMs < untilMs) return subject;
    if (failed && Math.abs(nowMs - failed.atMs) < fetchAgainMs) throw failed.error;
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer, audience, algorithms: ALGORITHMS, requiredClaims: ['exp', 'sub'] },
      clockTolerance: CLOCK_TOLERANCE_S,
    }).catch((cause) => {
      const error = toRefusal(cause);
      if (error.code === 'not-accepted') failed = { error, atMs: Date.now() };
      throw error;
    });
    failed = undefined;
    const { sub, exp = 0 } = payload;
    if (typeof sub !== 'string' || !SUBJECT.test(sub) || Buffer.byteLength(sub) > MAX_SUBJECT_BYTES)
      throw new AppError('unauthorized', 'the token is refused: its subject is none, or over 128 bytes');
    known.set(digest, { subject: sub, untilMs: Math.min(exp * 1_000, nowMs + TRUSTED_MS) });
    return sub;
  };
}

/** Whether a key that was shown has the form of a token, and no API key has: those have no dots. */
export function isToken(shown: string | undefined): shown is string {
  return shown !== undefined && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(shown);
}

/** Those of jose say what is wrong with the token, but for these, and for what `fetch` throws. */
const NOT_OF_THE_TOKEN = ['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID'];

function toRefusal(cause: unknown): AppError {
  if (cause instanceof errors.JOSEError && !NOT_OF_THE_TOKEN.includes(cause.code))
    return new AppError('unauthorized', `the token is refused: ${cause.message}`, { cause });
  return new AppError('not-accepted', 'the keys of the issuer of tokens cannot be had now', { cause });
}
