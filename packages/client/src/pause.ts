/** Resolves after `ms`. @throws the reason of `signal` */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', giveUp);
      resolve();
    }, ms);
    if (signal?.aborted) giveUp();
    else signal?.addEventListener('abort', giveUp, { once: true });
  });
}

/**
 * How long to wait after so many failures (1 or more): a random part of `baseMs`, doubled with each further failure up to `capMs`
 * (full jitter, so that many that failed together do not come back together).
 */
export function backOffMs(failures: number, { baseMs, capMs }: { baseMs: number; capMs: number }): number {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 10));
}
