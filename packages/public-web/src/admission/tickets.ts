/**
 * Tickets: how a client shows its API key where it cannot send headers, as a browser's WebSocket cannot. It asks for one
 * with its key, and brings it in the URL, where the key itself would be logged: a ticket is worth nothing half a minute
 * later, and opens one connection.
 *
 * Any instance takes what another has given, since all have the key that signs them; that a ticket was used is known only
 * to the instance that took it, so within its 30 s it may be used once on each.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import { LRUCache } from 'lru-cache';

const VALID_MS = 30_000;
/** Of used ones; beyond, those used longest ago could be used again until they expire. */
const MAX_USED = 100_000;

/** What {@link Tickets} gives out: base64url, and until when it is taken, in milliseconds of the epoch. */
export type Ticket = { ticket: string; expiresMs: number };

export type Tickets = {
  /** A ticket in the name of the API key of this id; undefined where no keys are needed. */
  issue(apiKeyId: string | undefined): Ticket;
  /**
   * The id of the API key that it stands for.
   *
   * @throws AppError `unauthorized` for one that was not issued, has been used here, or has expired.
   */
  redeem(ticket: string): string | undefined;
};

/** Creates {@link Tickets}, signed with the first of `keys`. `nowMs` is the time of the epoch. */
export function createTickets({
  keys,
  nowMs = Date.now,
}: {
  keys: readonly Key[];
  nowMs?: () => number;
}): Tickets {
  const [key] = keys;
  if (!key) throw new AppError('invalid-config', 'there is no key to sign tickets with');
  const used = new LRUCache<string, true>({ max: MAX_USED, ttl: VALID_MS, perf: { now: nowMs } });

  return {
    issue(apiKeyId) {
      const expiresMs = nowMs() + VALID_MS;
      const claims = { exp: expiresMs, key: apiKeyId, nonce: randomBytes(16).toString('base64url') };
      const text = Buffer.from(JSON.stringify(claims)).toString('base64url');
      return { ticket: `${text}.${sign(text, key)}`, expiresMs };
    },
    redeem(ticket) {
      const [text = '', signature = ''] = ticket.split('.');
      if (!keys.some((each) => isSame(signature, sign(text, each)))) throw refused();
      const { exp, key: apiKeyId, nonce } = JSON.parse(Buffer.from(text, 'base64url').toString());
      if (exp <= nowMs() || used.has(nonce)) throw refused();
      used.set(nonce, true);
      return apiKeyId;
    },
  };
}

function sign(text: string, { secret }: Key): string {
  return createHmac('sha256', secret).update(text).digest('base64url');
}

function isSame(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

function refused(): AppError {
  return new AppError('unauthorized', 'the ticket is unknown, has expired, or was used before');
}
