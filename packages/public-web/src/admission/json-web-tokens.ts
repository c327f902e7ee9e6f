/**
 * JSON Web Tokens (RFC 7519) of an issuer that is trusted, by which clients may show who they are in place of an API key.
 *
 * Its public keys are fetched when the first token comes, and again for a token of a key that is not known, every 10 s at most.
 * A token that was good is remembered until it expires: verifying takes far longer than the rest of a request.
 */
import { hash } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';

/** Whose keys are public; with others, whoever knows the issuer's keys could sign. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
const FETCH_TIMEOUT_MS = 2_000;
const FETCH_AGAIN_MS = 10_000;
/** By how much clocks may differ. */
const CLOCK_TOLERANCE_S = 5;
/** Longer ones fit no header; they carry more than who somebody is. */
const MAX_TOKEN_LENGTH = 8_192;
const MAX_REMEMBERED = 10_000;
const SUBJECT = /^\P{Cc}{1,255}$/u;

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
}: {
  jwksUrl: string;
  issuer: string;
  audience: string;
}): VerifyToken {
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cooldownDuration: FETCH_AGAIN_MS,
  });
  const subjects = new LRUCache<string, string>({ max: MAX_REMEMBERED });

  return async (token) => {
    if (token.length > MAX_TOKEN_LENGTH) throw new AppError('unauthorized', 'the token is too long');
    const digest = hash('sha256', token, 'base64');
    const known = subjects.get(digest);
    if (known !== undefined) return known;
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer, audience, algorithms: ALGORITHMS, requiredClaims: ['exp', 'sub'] },
      clockTolerance: CLOCK_TOLERANCE_S,
    }).catch((cause) => {
      throw toRefusal(cause);
    });
    const { sub, exp = 0 } = payload;
    if (typeof sub !== 'string' || !SUBJECT.test(sub))
      throw new AppError('unauthorized', 'the token is refused: its subject is none');
    const validMs = exp * 1_000 - Date.now();
    if (validMs > 0) subjects.set(digest, sub, { ttl: validMs });
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
