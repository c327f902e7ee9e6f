import { createBoundedCache } from '@waybill/common/bounded-cache.ts';

/**
 * The requests that were answered 504 and told where to look for the reply: when that comes it belongs in a store. Beyond a
 * bound, those that were told longest ago are forgotten, and their replies dropped.
 */
export type LateRequests = { add(correlationId: string): void; has(correlationId: string): boolean };

const ENTRY_BYTES = 200;

/** Creates the {@link LateRequests} of one instance, remembered as long as a reply may come. */
export function createLateRequests({
  windowMs,
  maxEntries,
}: {
  windowMs: number;
  maxEntries: number;
}): LateRequests {
  const cache = createBoundedCache<object>({ windowMs, maxEntries, bytesOf: () => ENTRY_BYTES });
  return {
    add: (correlationId) => cache.set(correlationId, {}),
    has: (correlationId) => cache.get(correlationId) !== undefined,
  };
}
