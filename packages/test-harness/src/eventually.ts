import { setTimeout as delay } from 'node:timers/promises';

export type EventuallyOptions = {
  /** How long to keep trying; default 30 s. */
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
  { timeoutMs = 30_000, intervalMs = 25 }: EventuallyOptions = {},
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
