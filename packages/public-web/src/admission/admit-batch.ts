import { AppError } from '@waybill/common/errors.ts';
import type { Caller } from './admission.ts';

/** Most events in a client's batch. */
const MAX_BATCH_EVENTS = 256;

/**
 * Lets a batch of `count` events in, before any of them is looked at. One that is too large costs as much as the largest
 * that is taken, or refusing it would come cheaper than sending it.
 *
 * @throws AppError `rate-limited`, or `too-large` for more than 256.
 */
export function admitBatch(caller: Pick<Caller, 'countEvents'>, count: number): void {
  if (count > 1) caller.countEvents(Math.min(count, MAX_BATCH_EVENTS));
  if (count > MAX_BATCH_EVENTS)
    throw new AppError('too-large', `a batch has at most ${MAX_BATCH_EVENTS} events`);
}
