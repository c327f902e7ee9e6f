/** A store of idempotency keys as requests use it: what it fails to do is refused before anything ran, or else logged. */
import { AppError, toAppError } from '@waybill/common/errors.ts';
import type { KeyedRequest } from './idempotency.ts';
import type { IdempotencyEntry, IdempotencyStore, KeptAnswer } from './idempotency-store.ts';
import { provesNothingRan, toKeep } from './kept-answer.ts';

type Log = KeyedRequest['log'];

/** What is under way leaves its room when it is answered; a store looks once a minute for what is over. */
const ROOM_AGAIN_MS = 10_000;

export type GuardedStore = {
  /** As that of the store. @throws AppError `keys-full`, or `not-accepted` whatever else has failed. */
  claim(key: string, entry: IdempotencyEntry, log: Log): Promise<IdempotencyEntry | undefined>;
  /** Never rejects: one that is not amended is as one of an instance that died a moment sooner. */
  amend(key: string, entry: IdempotencyEntry): Promise<void>;
  /** Gives up what was claimed for nobody. Never rejects. */
  release(key: string): Promise<void>;
  /** Does with the answer to a claim what is to be done, and never rejects. */
  keep(key: string, answered: { fingerprint: string; answer: KeptAnswer }, log: Log): Promise<void>;
};

/** Creates the {@link GuardedStore} of a store. */
export function createGuardedStore(store: IdempotencyStore): GuardedStore {
  return {
    async claim(key, entry, log) {
      try {
        return await store.claim(key, entry);
      } catch (cause) {
        if (toAppError(cause).code === 'keys-full') throw noRoom(cause);
        logUnlessAway(cause, log, 'the store of idempotency keys fails');
        throw new AppError('not-accepted', 'the store of idempotency keys does not answer', { cause });
      }
    },
    async amend(key, entry) {
      try {
        await store.amend(key, entry);
      } catch {}
    },
    async release(key) {
      try {
        await store.release(key);
      } catch {}
    },
    async keep(key, { fingerprint, answer }, log) {
      try {
        if (provesNothingRan(answer)) await store.release(key);
        else await store.keep(key, { fingerprint, answer: toKeep(answer) });
      } catch (error) {
        logUnlessAway(error, log, 'an answer is not kept for its idempotency key');
      }
    },
  };
}

function noRoom(cause: unknown): AppError {
  const detail = 'there is no room for another idempotency key: come again later, or without one';
  return new AppError('keys-full', detail, { retryAfterMs: ROOM_AGAIN_MS, cause });
}

/** That no store answers is logged once, by whoever asks it. */
function logUnlessAway(error: unknown, log: Log, message: string): void {
  if (toAppError(error).code !== 'not-accepted') log.error({ err: error }, message);
}
