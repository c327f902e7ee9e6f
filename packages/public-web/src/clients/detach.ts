import { backOff } from '@waybill/common/back-off.ts';
import { createBatcher } from '@waybill/common/batch.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { ClosedFence } from '@waybill/common/internal-call/store-calls.ts';
import type { AskStore } from '../later/store-client.ts';

/** Fences of one call; and those that wait for a store: as many clients as may be attached by default. */
const MAX_FENCES = 500;
const MAX_WAITING = 10_000;
/** Between two tries. */
const AGAIN = { baseMs: 200, capMs: 500 };

/**
 * Tells the store that no more slots are taken under a fence, which then holds nothing back any longer than it takes to fill
 * those that were. Many that come at once are told together, again while no store answers; once `drained` has aborted, one try is
 * the last. Resolves with whether the store has heard it: false when it never answered, did not understand, or too many
 * wait; then it closes the fence when the client attaches again, or its time is over. Never rejects.
 */
export type Detach = (fence: ClosedFence) => Promise<boolean>;

/** Creates {@link Detach}. */
export function createDetach({
  askStore,
  deadlineMs,
  drained,
}: {
  askStore: AskStore;
  deadlineMs: number;
  drained: AbortSignal;
}): Detach {
  let waiting = 0;
  const batcher = createBatcher<ClosedFence, true>({
    maxItems: MAX_FENCES,
    maxBytes: Number.POSITIVE_INFINITY,
    maxInFlight: () => 1,
    maxQueued: MAX_WAITING,
    async send(fences) {
      await askStore({ call: 'detach', fences, deadlineMs });
      return fences.map(() => true);
    },
  });

  async function tell(fence: ClosedFence): Promise<boolean> {
    let failures = 0;
    do
      try {
        await batcher.add(fence, 0);
        return true;
      } catch (error) {
        if (!isNotAccepted(error)) return false;
        failures += 1;
        await backOff(failures, { ...AGAIN, signal: drained });
      }
    while (!drained.aborted);
    return false;
  }

  return async (fence) => {
    if (waiting >= MAX_WAITING) return false;
    waiting += 1;
    const isHeard = await tell(fence);
    waiting -= 1;
    return isHeard;
  };
}

/** That no store has answered: what was asked of it may have been done all the same. */
export function isNotAccepted(error: unknown): boolean {
  return error instanceof AppError && error.code === 'not-accepted';
}
