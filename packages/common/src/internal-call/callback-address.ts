/** Reply addresses of the kind `callback`: public-web signs them, and dispatchers deliver to them. */
import { AppError } from '../errors.ts';
import { TAKES_PROGRESS } from './progress.ts';
import type { ReplyAddress } from './reply-address.ts';

/** `POST` the reply to `url`, public-web's internal `/dispatch`, for `instance`. */
export type CallbackAddress = { kind: 'callback'; url: string; instance: string };

/**
 * The claim by which a callback address says that others may ask for the reply, by an idempotency key: should the instance not take
 * it, it belongs in a store. A dispatcher of before sets it aside for the instance alone.
 */
export const KEPT = { kept: true } as const;

/** Whether a callback address says so. */
export function isKept({ kept }: ReplyAddress): boolean {
  return kept === true;
}

/** The address of a public-web instance, with what it says besides. Throws `invalid-config` unless `url` is an http(s) URL. */
export function callbackAddress(url: string, instance: string): CallbackAddress & typeof TAKES_PROGRESS {
  if (!isHttpUrl(url)) throw new AppError('invalid-config', `the reply address is no http(s) URL: ${url}`);
  return { kind: 'callback', url, instance, ...TAKES_PROGRESS };
}

/** Reads a verified address. Throws `unknown-reply-address` when it is of another kind, or says something else. */
export function toCallbackAddress({ kind, url, instance }: ReplyAddress): CallbackAddress {
  if (kind !== 'callback')
    throw new AppError('unknown-reply-address', `an address of kind ${kind} is no callback`);
  if (!isHttpUrl(url) || typeof instance !== 'string')
    throw new AppError('unknown-reply-address', 'a claim of the reply address is missing or malformed');
  return { kind, url, instance };
}

function isHttpUrl(value: unknown): value is string {
  const protocol = typeof value === 'string' ? URL.parse(value)?.protocol : undefined;
  return protocol === 'http:' || protocol === 'https:';
}
