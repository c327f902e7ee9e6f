import { setTimeout as delay } from 'node:timers/promises';

type BackOff = { baseMs: number; capMs: number };

/**
 * Waits after `failures` (1 or more) failed tries: a random part of `baseMs`, doubled with each further failure up to
 * `capMs` (full jitter, so that many that failed together do not come back together). Ends early when `signal` aborts;
 * never rejects.
 */
export async function backOff(
  failures: number,
  { signal, ...bounds }: BackOff & { signal?: AbortSignal },
): Promise<void> {
  await delay(backOffMs(failures, bounds), undefined, { signal }).catch(() => {});
}

/** How long {@link backOff} waits this time; `random` is from 0 to 1. */
export function backOffMs(failures: number, { baseMs, capMs }: BackOff, random = Math.random()): number {
  return random * Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 10));
}
