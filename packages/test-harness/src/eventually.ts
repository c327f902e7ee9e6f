import { setTimeout as delay } from 'node:timers/promises';

/**
 * How long a test waits for what should come, unless how long it takes is what it is about: nothing takes nearly as long, but
 * on a machine that has other things to do a process was seen to need a minute to start, and a broker to answer.
 */
export const PATIENCE_MS = 90_000;

export type EventuallyOptions = {
  /** How long to keep trying; default {@link PATIENCE_MS}. */
  timeoutMs?: number;
  /** The pause between two tries; default 25 ms. */
  intervalMs?: number;
};

/**
 * Calls `check` until it returns without throwing, and resolves with what it returned. For what can only be looked
 * at, not listened to (queue depths, a port that opens); where there is an event, await that instead.
 *
 * @throws what `check` threw last, once `timeoutMs` have passed.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = PATIENCE_MS, intervalMs = 25 }: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= deadline) throw error;
    }
    await delay(intervalMs);
  }
}
