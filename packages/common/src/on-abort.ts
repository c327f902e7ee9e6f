/** Calls `run` when `signal` aborts; at once when it has, and never where there is none. */
export function onAbort(signal: AbortSignal | undefined, run: () => void): void {
  if (signal?.aborted) run();
  else signal?.addEventListener('abort', run, { once: true });
}
