import { setTimeout as delay } from 'node:timers/promises';
import type { AppError } from '@waybill/common/errors.ts';
import type { Requester } from './sessions.ts';

/**
 * Counts an event of the caller, as soon as its rate allows one; or returns when the session is over.
 *
 * @throws AppError what refuses it, other than its rate.
 */
export async function waitForRate(
  { caller }: Pick<Requester, 'caller'>,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver())
    try {
      return caller.countEvent();
    } catch (error) {
      const { retryAfterMs } = error as AppError;
      if (retryAfterMs === undefined) throw error;
      await delay(retryAfterMs, undefined, { ref: false });
    }
}
