import { problemFor } from '@waybill/common/problem.ts';
import { InvalidDataError } from './invalid-data.ts';
import { makeReplyOfProblem } from './make-event.ts';
import type { PublishReply } from './publish-reply.ts';
import type { Step } from './step.ts';

/**
 * Answers whoever waits that the data is at fault (422): a client's mistake leaves no dead letter and is not tried again.
 * Where nobody waits nobody could mend it, and it stays a failure.
 */
export function withRefusal(
  next: Step,
  { service, publishReply }: { service: string; publishReply: PublishReply },
): Step {
  return async (event, context) => {
    const outcome = await next(event, context);
    const { failure } = outcome;
    if (!(failure instanceof InvalidDataError) || event.replyto === undefined) return outcome;
    const { errors } = failure;
    context.log.debug({ errors }, 'event refused: its data is invalid');
    const detail = `the data of ${event.type} is not as its schema says`;
    const problem = problemFor('invalid-data', detail, { errors, event_id: event.id });
    const reply = makeReplyOfProblem(problem, { event, service, span: context.span });
    return { name: (await publishReply(reply)) === 'expired' ? 'expired' : 'refused' };
  };
}
