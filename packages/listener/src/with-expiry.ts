import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import { describeError } from './describe-error.ts';
import type { Remedy, Step } from './step.ts';

/** Starts no work on an event whose deadline has passed. A client may have allowed it no time. */
export function withExpiry(next: Step): Step {
  return (event, context) => (isExpired(event) ? Promise.resolve({ name: 'expired' }) : next(event, context));
}

/**
 * Takes a handler that the deadline of its event ended for no failed one: nobody waits any more, and nothing says that the event
 * is at fault. Nor one whose request to another service was open until then: that ends at the same deadline, and either may be
 * first.
 */
export const forgiveExpired: Remedy = (failed, event) =>
  isTimeout(failed.failure) && isExpired(event)
    ? { name: 'expired', error: describeError(failed.failure) }
    : failed;

function isExpired(event: CloudEvent): boolean {
  return Date.now() >= expiryMs(event);
}

function isTimeout(failure: Error): boolean {
  return failure instanceof AppError && ['handler-timeout', 'outcome-unknown'].includes(failure.code);
}
