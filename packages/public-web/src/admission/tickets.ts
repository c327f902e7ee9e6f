/**
 * Tickets: how a client shows its API key where it cannot send headers, as a browser's WebSocket cannot. It asks for one
 * with its key, and brings it in the URL, where the key itself would be logged: a ticket is worth nothing half a minute
 * later, and opens one connection.
 *
 * Any instance takes what another has given, since all have the key that signs them; that a ticket was used is known only
 * to the instance that took it, so within its 30 s it may be used once on each.
 */
import { randomBytes } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import { readClaims, signClaims } from '@waybill/common/internal-call/signed-claims.ts';
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

type Claims = { exp: number; key: string | undefined; nonce: string };

/** Creates {@link Tickets}, signed with the first of `keys`. `nowMs` is the time of the epoch. */
export function createTickets({
  keys,
  nowMs = Date.now,
}: {
  keys: readonly Key[];
  nowMs?: () => number;
}): Tickets {
  const used = new LRUCache<string, true>({ max: MAX_USED, ttl: VALID_MS, perf: { now: nowMs } });

  return {
    issue(apiKeyId) {
      const expiresMs = nowMs() + VALID_MS;
      const claims: Claims = { exp: expiresMs, key: apiKeyId, nonce: randomBytes(16).toString('base64url') };
      return { ticket: signClaims(claims, keys), expiresMs };
    },
    redeem(ticket) {
      const claims = readClaims(ticket, keys) as Claims | undefined;
      if (!claims || claims.exp <= nowMs() || used.has(claims.nonce)) throw refused();
      used.set(claims.nonce, true);
      return claims.key;
    },
  };
}

function refused(): AppError {
  return new AppError('unauthorized', 'the ticket is unknown, has expired, or was used before');
}
