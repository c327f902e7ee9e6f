import { toAppError } from '@waybill/common/errors.ts';
import { toError } from './describe-error.ts';
import type { Step } from './step.ts';

/** Makes of what is thrown a failure, which the steps further out deal with; unless the delivery is lost (`step.ts`). */
export function withFailure(next: Step): Step {
  return async (event, context) => {
    try {
      return await next(event, context);
    } catch (thrown) {
      if (context.signal.aborted) throw toAppError(thrown);
      return { name: 'failed', failure: toError(thrown) };
    }
  };
}
