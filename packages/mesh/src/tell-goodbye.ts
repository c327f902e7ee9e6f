/** Has a peer hear a goodbye that it did not hear at once. */
import { backOff } from '@waybill/common/back-off.ts';
import { GIVE_UP_MS, RECONNECT } from './keep-connected.ts';

/**
 * Calls `tell` with back-off until it resolves, `signal` aborts, or ten minutes have passed. Never rejects.
 */
export async function tellGoodbye(tell: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  for (let failures = 1; performance.now() - startedMs < GIVE_UP_MS; failures += 1) {
    await backOff(failures, { ...RECONNECT, signal });
    if (signal.aborted) return;
    const isHeard = await tell().then(
      () => true,
      () => false,
    );
    if (isHeard) return;
  }
}
