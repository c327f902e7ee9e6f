/**
 * The keys of internal authentication, all derived from one shared secret, or from two while it is being replaced:
 * the first signs, all verify. To rotate without a refused call: put the new secret second on every process, then
 * first, then drop the old one.
 */

import { hkdfSync } from 'node:crypto';
import { AppError } from '../errors.ts';

/** An HMAC-SHA256 key: `kid` names it in what it signs, `secret` is 32 bytes. */
export type Key = { kid: string; secret: Buffer };

/** One list per purpose, in the order of the secrets: the first key signs, any verifies. */
export type InternalKeys = { call: Key[]; replyAddress: Key[]; ticket: Key[]; location: Key[] };

const MIN_SECRET_LENGTH = 32;

/**
 * Derives a key per secret and purpose (RFC 5869, HKDF-SHA256, info `waybill/<purpose>`), so that what was signed
 * for one purpose is worth nothing for the other. The `kid` is derived as well (info `waybill/kid`): nobody has to
 * name keys, and every process arrives at the same names.
 *
 * `secrets`: one or two random strings of at least 32 characters. HKDF does not make a guessable one strong.
 * Throws `invalid-config`, without quoting a secret.
 */
export function deriveInternalKeys(secrets: string[]): InternalKeys {
  assertUsable(secrets);
  const kids = secrets.map((secret) => derive(secret, 'kid', 4).toString('hex'));
  if (new Set(kids).size < kids.length) {
    throw new AppError('invalid-config', 'the two internal secrets must differ');
  }
  const keysFor = (purpose: string): Key[] =>
    secrets.map((secret, index) => ({ kid: kids[index] as string, secret: derive(secret, purpose, 32) }));
  return {
    call: keysFor('call'),
    replyAddress: keysFor('reply-address'),
    ticket: keysFor('ticket'),
    location: keysFor('location'),
  };
}

function assertUsable(secrets: string[]): void {
  if (secrets.length < 1 || secrets.length > 2) {
    throw new AppError('invalid-config', `one or two internal secrets are needed, not ${secrets.length}`);
  }
  if (secrets.some((secret) => secret.length < MIN_SECRET_LENGTH)) {
    throw new AppError('invalid-config', `an internal secret needs at least ${MIN_SECRET_LENGTH} characters`);
  }
}

function derive(secret: string, info: string, lengthBytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `waybill/${info}`, lengthBytes));
}
