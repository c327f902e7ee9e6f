import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits after `failures` (1 or more) failed tries: a random part of `baseMs`, doubled with each further failure up to
 * `capMs` (full jitter, so that many that failed together do not come back together). Ends early when `signal` aborts;
 * never rejects.
 */
export async function backOff(
  failures: number,
  { baseMs, capMs, signal }: { baseMs: number; capMs: number; signal?: AbortSignal },
): Promise<void> {
  const boundMs = Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 10));
  await delay(Math.random() * boundMs, undefined, { signal }).catch(() => {});
}
