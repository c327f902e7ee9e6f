import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { EncodedEvent } from '@waybill/common/event/event-json.ts';
import { type Problem as ProblemMembers, problemFor } from '@waybill/common/problem.ts';
import { toError } from './describe-error.ts';
import { InvalidDataError } from './invalid-data.ts';
import { makeReplyOfProblem } from './make-event.ts';
import { Problem } from './problem.ts';
import type { PublishReply } from './publish-reply.ts';
import type { Remedy } from './step.ts';

/**
 * Answers the client that waits with what is the matter with the event: with the {@link Problem} of its handler, or that the data is
 * at fault (422). A client's mistake leaves no dead letter and is not tried again. Where nobody waits nobody could mend it,
 * and it stays a failure; and a problem that cannot be carried is one of its handler.
 */
export function createRefusal({
  service,
  publishReply,
  maxEventBytes,
}: {
  service: string;
  publishReply: PublishReply;
  maxEventBytes?: number | undefined;
}): Remedy {
  return async (failed, event, context) => {
    const problem = event.replyto === undefined ? undefined : problemOf(failed.failure, event);
    if (!problem) return failed;
    const { code, errors } = problem;
    context.log.debug({ code, errors }, 'event refused');
    let reply: EncodedEvent;
    try {
      reply = makeReplyOfProblem(problem, { event, service, span: context.span, maxEventBytes });
    } catch (thrown) {
      return { name: 'failed', failure: toError(thrown) };
    }
    return { name: (await publishReply(reply)) === 'expired' ? 'expired' : 'refused' };
  };
}

function problemOf(failure: Error, { type, id }: CloudEvent): ProblemMembers | undefined {
  if (failure instanceof Problem) return { ...failure.toJSON(), event_id: id };
  if (!(failure instanceof InvalidDataError)) return undefined;
  const detail = `the data of ${type} is not as its schema says`;
  return problemFor('invalid-data', detail, { errors: failure.errors, event_id: id });
}
