/**
 * Claims that an instance of ours gives to a client, and another one takes back: base64url of their JSON, and its HMAC. What
 * they say can be read by whoever has them, and made by nobody else.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { Key } from './internal-keys.ts';

/** Signs `claims` with the first of `keys`. */
export function signClaims(claims: object, keys: readonly Key[]): string {
  const [key] = keys;
  if (!key) throw new AppError('invalid-config', 'there is no key to sign with');
  const text = Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `${text}.${sign(text, key)}`;
}

/** The claims that were signed with one of `keys`; undefined when none signed them so. */
export function readClaims(signed: string, keys: readonly Key[]): unknown {
  const [text = '', signature = '', ...rest] = signed.split('.');
  if (rest.length > 0 || !keys.some((key) => isSame(signature, sign(text, key)))) return undefined;
  return JSON.parse(Buffer.from(text, 'base64url').toString());
}

function sign(text: string, { secret }: Key): string {
  return createHmac('sha256', secret).update(text).digest('base64url');
}

function isSame(shown: string, right: string): boolean {
  const [one, other] = [Buffer.from(shown), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
}
