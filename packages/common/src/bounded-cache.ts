/** What is kept in memory for a while, so that the same question gets the same answer. */
import { LRUCache } from 'lru-cache';

/** All values of one cache. */
const MAX_BYTES = 64 * 1024 * 1024;
/** As many of 256 bytes. For the most entries a cache takes its memory when it is made, whatever comes of them: 50 bytes for each. */
const MOST_ENTRIES = MAX_BYTES / 256;

export type BoundedCache<Value> = {
  get(key: string): Value | undefined;
  /** Keeps `value` from now on for the window. */
  set(key: string, value: Value): void;
  delete(key: string): void;
};

/** Creates a cache. Beyond `maxEntries`, or 262,144 of them, or 64 MiB, what was asked for longest ago is forgotten before its time. */
export function createBoundedCache<Value extends object>({
  windowMs,
  maxEntries,
  bytesOf,
  nowMs = () => performance.now(),
}: {
  /** How long a value is kept. */
  windowMs: number;
  maxEntries: number;
  /** About what an entry takes, from 1 up. */
  bytesOf(value: Value, key: string): number;
  /** A monotonic clock. */
  nowMs?: () => number;
}): BoundedCache<Value> {
  const cache = new LRUCache<string, Value>({
    max: Math.min(maxEntries, MOST_ENTRIES),
    ttl: windowMs,
    ttlResolution: 0,
    maxSize: MAX_BYTES,
    sizeCalculation: bytesOf,
    perf: { now: nowMs },
  });
  return {
    get: (key) => cache.get(key),
    set: (key, value) => void cache.set(key, value),
    delete: (key) => void cache.delete(key),
  };
}
