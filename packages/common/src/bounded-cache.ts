/** What is kept in memory for a while, so that the same question gets the same answer. */
import { LRUCache } from 'lru-cache';

/** All values of one cache. */
export const CACHE_MAX_BYTES = 64 * 1024 * 1024;
/** Owners of whom the one with most is looked for, besides the one who adds: it is what adds that grows. */
const MAX_LOOKED_AT = 64;

export type BoundedCache<Value> = {
  get(key: string): Value | undefined;
  /** Keeps `value` from now on for the window. */
  set(key: string, value: Value): void;
  delete(key: string): void;
};

/**
 * Creates a cache. Beyond `maxEntries`, or 64 MiB, what was asked for longest ago is forgotten before its time. Where keys have owners, that
 * is of whoever has most, so that nobody has others forget what is theirs by adding much.
 */
export function createBoundedCache<Value extends object>({
  windowMs,
  maxEntries,
  bytesOf,
  ownerOf = () => '',
  nowMs = () => performance.now(),
}: {
  /** How long a value is kept. */
  windowMs: number;
  maxEntries: number;
  /** About what an entry takes, from 1 up. */
  bytesOf(value: Value, key: string): number;
  /** Whose a key is; default: all are of one. */
  ownerOf?(key: string): string;
  /** A monotonic clock. */
  nowMs?: () => number;
}): BoundedCache<Value> {
  type Cache = LRUCache<string, Value>;
  const caches = new Map<string, Cache>();
  let entries = 0;
  let bytes = 0;

  const create = (): Cache =>
    new LRUCache({
      ttl: windowMs,
      ttlResolution: 0,
      maxSize: CACHE_MAX_BYTES,
      sizeCalculation: bytesOf,
      perf: { now: nowMs },
    });

  /** Does something with what an owner has, and counts what that changes. */
  function change<Result>(owner: string, cache: Cache, work: (cache: Cache) => Result): Result {
    entries -= cache.size;
    bytes -= cache.calculatedSize;
    const result = work(cache);
    entries += cache.size;
    bytes += cache.calculatedSize;
    if (cache.size > 0) caches.set(owner, cache);
    else caches.delete(owner);
    return result;
  }

  function forgetOne(adding: string): void {
    const sizeOf = (cache: Cache | undefined) =>
      (bytes > CACHE_MAX_BYTES ? cache?.calculatedSize : cache?.size) ?? 0;
    let most = '';
    let looked = 0;
    for (const [owner, cache] of caches) {
      if (sizeOf(cache) > sizeOf(caches.get(most))) most = owner;
      looked += 1;
      if (looked === MAX_LOOKED_AT) break;
    }
    if (sizeOf(caches.get(adding)) > sizeOf(caches.get(most))) most = adding;
    change(most, caches.get(most) as Cache, (cache) => cache.pop());
  }

  return {
    get(key) {
      const owner = ownerOf(key);
      const cache = caches.get(owner);
      return cache && change(owner, cache, () => cache.get(key));
    },
    set(key, value) {
      const owner = ownerOf(key);
      change(owner, caches.get(owner) ?? create(), (cache) => cache.set(key, value));
      while (entries > maxEntries || bytes > CACHE_MAX_BYTES) forgetOne(owner);
    },
    delete(key) {
      const owner = ownerOf(key);
      const cache = caches.get(owner);
      if (cache) change(owner, cache, () => cache.delete(key));
    },
  };
}
