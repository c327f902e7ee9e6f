import { toAppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { toError } from './describe-error.ts';
import type { Failed, Outcome, Remedy, Step, StepContext } from './step.ts';

/**
 * Makes of what is thrown a failure, and has `remedies` deal with it, one after the other, until one has; unless the delivery is
 * lost (`step.ts`). What does not fail costs nothing here, however many of them there are.
 */
export function withFailure(next: Step, { remedies }: { remedies: readonly Remedy[] }): Step {
  return async (event, context) => {
    try {
      return await next(event, context);
    } catch (thrown) {
      if (context.signal.aborted) throw toAppError(thrown);
      return mend({ name: 'failed', failure: toError(thrown) }, event, context);
    }
  };

  async function mend(failed: Failed, event: CloudEvent, context: StepContext): Promise<Outcome> {
    let outcome: Outcome = failed;
    for (const remedy of remedies) {
      outcome = await remedy(outcome as Failed, event, context);
      if (!outcome.failure) break;
    }
    return outcome;
  }
}
