/**
 * Where answers are kept by idempotency key. In memory the promise holds within one public-web; in the store tier
 * (`stored-idempotency-store.ts`) across all that share it. `idempotency-store-contract.fixture.ts` holds the port.
 */
import { CACHE_MAX_BYTES, createBoundedCache } from '@waybill/common/bounded-cache.ts';
import { ownerOf } from './kept-under.ts';

/** An answer that can be given again. */
export type KeptAnswer = { status: number; headers: Record<string, string>; body: string | Buffer };

/** What is kept under a key. */
export type IdempotencyEntry = {
  /** What request the key was used for: a hash of the key and of its body, which may hold a password. Store it like one. */
  fingerprint: string;
  /** Absent while the request is being handled. */
  answer?: KeptAnswer;
  /** Of one without an answer: where the reply to its event may be found, in case its instance dies. */
  reply?: ReplyLocation;
  /** Of one without an answer: when its instance has either answered or died, in milliseconds of the epoch. */
  dueMs?: number;
};

/** The id under which a reply is in the store tier, if it is, and where its client may fetch it. */
export type ReplyLocation = { id: string; location: string };

/**
 * A store of answers. A call that fails, or takes longer than the store allows itself, rejects: then the request is
 * refused before anything ran.
 */
export type IdempotencyStore = {
  /**
   * In one step: resolves with what is kept under `key`; or, if nothing is, keeps `entry` there, which claims the key
   * for the caller. A claim whose instance died stays for the window, since its event may have been handled.
   */
  claim(key: string, entry: IdempotencyEntry): MaybePromise<IdempotencyEntry | undefined>;
  /** What is kept under `key`. */
  read(key: string): MaybePromise<IdempotencyEntry | undefined>;
  /** Puts `entry`, which has no answer either, in place of the claim of this caller; nothing when it has none any more. */
  amend(key: string, entry: IdempotencyEntry): MaybePromise<void>;
  /** Keeps `entry` in place of the claim, from now on for the window. */
  keep(key: string, entry: IdempotencyEntry): MaybePromise<void>;
  /** Gives the claim up, as though the key had never been used. */
  release(key: string): MaybePromise<void>;
};

type MaybePromise<T> = T | Promise<T>;

/** About what an entry takes besides its texts. */
const ENTRY_BYTES = 512;
/** More keys than this have no room in memory, whatever their answers. */
export const MOST_KEYS = CACHE_MAX_BYTES / ENTRY_BYTES;

/**
 * Creates a store in memory. Beyond `maxKeys`, or 64 MiB of answers, those asked for longest ago are forgotten before
 * their time: of the API key that has most of them.
 */
export function createMemoryIdempotencyStore({
  windowMs,
  maxKeys,
  nowMs,
}: {
  /** How long an answer is kept. */
  windowMs: number;
  maxKeys: number;
  /** A monotonic clock. */
  nowMs?: () => number;
}): IdempotencyStore {
  const entries = createBoundedCache({ windowMs, maxEntries: maxKeys, bytesOf, ownerOf, nowMs });
  return {
    claim(key, entry) {
      const kept = entries.get(key);
      if (!kept) entries.set(key, entry);
      return kept;
    },
    read: entries.get,
    amend(key, entry) {
      const kept = entries.get(key);
      if (kept && !kept.answer) entries.set(key, entry);
    },
    keep: entries.set,
    release: entries.delete,
  };
}

function bytesOf({ answer }: IdempotencyEntry, key: string): number {
  const headers = Object.entries(answer?.headers ?? {})
    .flat()
    .join('').length;
  return ENTRY_BYTES + key.length + headers + Buffer.byteLength(answer?.body ?? '');
}
