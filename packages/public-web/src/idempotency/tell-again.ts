/** What the store tier has to hear of idempotency keys in the end, though it may be away now. */
import { backOff } from '@waybill/common/back-off.ts';
import { toAppError } from '@waybill/common/errors.ts';
import type { KeyStep } from '@waybill/common/internal-call/store-calls.ts';
import { assertTaken, bytesOf, type TakeStep } from './take-step.ts';

/** What is told again, and its bytes; beyond, claims stay for the window, without their answers. */
const MAX_UNHEARD = 1_000;
const MAX_UNHEARD_BYTES = 16 * 1024 * 1024;
/** In half a minute at the most: a store that starts anew is back by then. */
const MAX_TRIES = 12;
const AGAIN = { baseMs: 250, capMs: 5_000 };

/**
 * Creates what tells a store something: it resolves or rejects with the first try, and goes on trying in the background, as far
 * as the bounds allow.
 */
export function createTell(take: TakeStep) {
  let unheard = 0;
  let unheardBytes = 0;

  async function tell(step: KeyStep): Promise<void> {
    try {
      assertTaken(await take(step));
    } catch (error) {
      if (isWorthAnother(error)) void tellAgain(step);
      throw error;
    }
  }

  /** Counts a step until it is heard, also while it is being told. */
  async function tellAgain(step: KeyStep): Promise<void> {
    const bytes = bytesOf(step);
    if (unheard >= MAX_UNHEARD || unheardBytes + bytes > MAX_UNHEARD_BYTES) return;
    unheard += 1;
    unheardBytes += bytes;
    for (let tries = 1; tries < MAX_TRIES; tries += 1) {
      await backOff(tries, AGAIN);
      if (await isOver(step)) break;
    }
    unheard -= 1;
    unheardBytes -= bytes;
  }

  /** Whether a step is taken, or refused for good. */
  async function isOver(step: KeyStep): Promise<boolean> {
    try {
      assertTaken(await take(step));
      return true;
    } catch (error) {
      return !isWorthAnother(error);
    }
  }

  return tell;
}

/** Whether no store has answered, so that what was to be done may be done or not. */
export function isWorthAnother(error: unknown): boolean {
  return toAppError(error).code === 'not-accepted';
}
