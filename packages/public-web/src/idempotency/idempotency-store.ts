/**
 * Where answers are kept by idempotency key. In memory the promise holds within one public-web; a store that several
 * share behind this port makes it hold across them.
 */
import { createBoundedCache } from '@waybill/common/bounded-cache.ts';

/** An answer that can be given again. */
export type KeptAnswer = { status: number; headers: Record<string, string>; body: string | Buffer };

/** What is kept under a key. */
export type IdempotencyEntry = {
  /** What request the key was used for. A hash of its body, which may hold a password: store it like one. */
  fingerprint: string;
  /** Absent while the request is being handled. */
  answer?: KeptAnswer;
};

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
  /** Keeps `entry` in place of the claim, from now on for the window. */
  keep(key: string, entry: IdempotencyEntry): MaybePromise<void>;
  /** Gives the claim up, as though the key had never been used. */
  release(key: string): MaybePromise<void>;
};

type MaybePromise<T> = T | Promise<T>;

/** About what an entry takes besides its texts. */
const ENTRY_BYTES = 512;

/**
 * Creates a store in memory. Beyond `maxKeys`, or 64 MiB of answers, those asked for longest ago are forgotten before
 * their time. It holds no claims: within one process the requests under way are known without it.
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
  const entries = createBoundedCache({ windowMs, maxEntries: maxKeys, bytesOf, nowMs });
  return {
    claim: entries.get,
    keep: entries.set,
    release: () => {},
  };
}

function bytesOf({ answer }: IdempotencyEntry, key: string): number {
  const headers = Object.entries(answer?.headers ?? {})
    .flat()
    .join('').length;
  return ENTRY_BYTES + key.length + headers + Buffer.byteLength(answer?.body ?? '');
}
