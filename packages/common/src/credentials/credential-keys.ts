/**
 * The keys that clients' credentials are sealed to (`sealed-credentials.ts`): JSON Web Keys (RFC 7517) of X25519
 * (RFC 8037). No message here repeats any part of what was given: it may be a private key.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { settingJson } from '../config.ts';
import { AppError } from '../errors.ts';

/** What seals. `kid` names it, so that it can be changed while what it sealed is still under way. */
export type PublicJwk = { kty: 'OKP'; crv: 'X25519'; x: string; kid: string };

/** What opens: a {@link PublicJwk} with its private part. */
export type PrivateJwk = PublicJwk & { d: string };

/**
 * Reads a public key from JSON text.
 *
 * @throws AppError `invalid-config` when it is anything else, a private key too.
 */
export function parsePublicJwk(text: string): PublicJwk {
  const key = toJwk(settingJson(text, refuse));
  if ('d' in key) throw refuse('it is a private key; give the public one, which has no d');
  return { kty: 'OKP', crv: 'X25519', x: key.x, kid: key.kid };
}

/**
 * Reads one private key, or an array of one or two while they are changed, from JSON text.
 *
 * @throws AppError `invalid-config` when it is anything else, a public key too.
 */
export function parsePrivateJwks(text: string): PrivateJwk[] {
  const value = settingJson(text, refuse);
  const keys = (Array.isArray(value) ? value : [value]).map(toPrivateJwk);
  if (keys.length < 1 || keys.length > 2) throw refuse('give one key, or an array of two while rotating');
  if (keys[0]?.kid === keys[1]?.kid) throw refuse('both keys have the same kid');
  return keys;
}

function toPrivateJwk(value: unknown): PrivateJwk {
  const key = toJwk(value);
  if (!isKeyPart(key.d)) throw refuse('it has no private part d of 32 bytes in base64url');
  if (publicPartOf({ ...key, d: key.d }) !== key.x) throw refuse('its parts d and x do not belong together');
  return { kty: 'OKP', crv: 'X25519', x: key.x, d: key.d, kid: key.kid };
}

/** Undefined where Node finds out by itself that the parts do not match. */
function publicPartOf(key: PrivateJwk): string | undefined {
  try {
    return createPublicKey(createPrivateKey({ key, format: 'jwk' })).export({ format: 'jwk' }).x;
  } catch {
    return undefined;
  }
}

function toJwk(value: unknown): PublicJwk & { d?: unknown } {
  const key = (typeof value === 'object' && value !== null ? value : {}) as Partial<PublicJwk>;
  if (key.kty !== 'OKP' || key.crv !== 'X25519') throw refuse('give a JWK with "kty":"OKP","crv":"X25519"');
  if (!isKeyPart(key.x)) throw refuse('it has no public part x of 32 bytes in base64url');
  if (typeof key.kid !== 'string' || !/^[\w.:-]{1,128}$/.test(key.kid))
    throw refuse('it has no kid of 1 to 128 letters, digits, and _ . : -');
  return key as PublicJwk;
}

/** 32 bytes are 43 digits of base64url; the last one holds only 4 bits. */
function isKeyPart(value: unknown): value is string {
  return typeof value === 'string' && /^[\w-]{42}[AEIMQUYcgkosw048]$/.test(value);
}

function refuse(reason: string): AppError {
  return new AppError('invalid-config', `no X25519 key: ${reason}`);
}
