import { setTimeout as delay } from 'node:timers/promises';

const BASE_MS = 100;
const CAP_MS = 5_000;

/**
 * Waits before try `failures` + 1: a random part of 100 ms, doubled with each failure up to 5 s (full jitter, so that
 * many streams that failed together do not come back together). Ends early when `signal` aborts.
 */
export async function backOff(failures: number, signal: AbortSignal): Promise<void> {
  const capMs = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures - 1, 10));
  await delay(Math.random() * capMs, undefined, { signal }).catch(() => {});
}
