/** Where {@link import('./once-per-event.ts').oncePerEvent} keeps what handlers made of events. */
import { createBoundedCache } from '@waybill/common/bounded-cache.ts';
import type { HandlerResult } from './handler.ts';

/**
 * A store of results. One that processes share keeps them for all of these, and over a restart: `createStoredResults` does. One
 * of your own gets a key prefix per service and handler, an expiry, and a time limit, well under the handler's. Results are plain
 * JSON, but for `onConfirmed`, which only memory can hold. `result-store-contract.fixture.ts` holds the port.
 */
export type ResultStore = {
  /** What is kept under `key`. When it rejects the attempt fails, before the handler ran. */
  get(key: string): Promise<HandlerResult | undefined> | HandlerResult | undefined;
  /** Keeps a result. When it rejects, that is logged, and the event counts as handled. */
  set(key: string, result: HandlerResult): Promise<void> | void;
};

/** About what an entry takes besides its texts. */
const ENTRY_BYTES = 256;

/** Creates a store in memory. Beyond `maxEvents`, or 64 MiB, results asked for longest ago are forgotten before their time. */
export function createMemoryResultStore({
  windowMs,
  maxEvents,
  nowMs,
}: {
  /** How long a result is kept. */
  windowMs: number;
  maxEvents: number;
  /** A monotonic clock. */
  nowMs?: () => number;
}): ResultStore {
  return createBoundedCache<HandlerResult>({
    windowMs,
    maxEntries: maxEvents,
    bytesOf: (result, key) => ENTRY_BYTES + 2 * (key.length + JSON.stringify(result).length),
    nowMs,
  });
}
