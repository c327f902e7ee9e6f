import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import { describeError } from './describe-error.ts';
import type { Step } from './step.ts';

/**
 * Starts no work on an event whose deadline has passed, and takes a handler that its deadline ended for no failed one:
 * nobody waits any more, and nothing says that the event is at fault. A client may have allowed it no time. Nor one whose
 * request to another service was open until then: that ends at the same deadline, and either may be first.
 */
export function withExpiry(next: Step): Step {
  return async (event, context) => {
    if (isExpired(event)) return { name: 'expired' };
    const outcome = await next(event, context);
    const { failure } = outcome;
    if (!failure || !isTimeout(failure) || !isExpired(event)) return outcome;
    return { name: 'expired', error: describeError(failure) };
  };
}

function isExpired(event: CloudEvent): boolean {
  return Date.now() >= expiryMs(event);
}

function isTimeout(failure: Error): boolean {
  return failure instanceof AppError && ['handler-timeout', 'outcome-unknown'].includes(failure.code);
}
