import type { CloudEvent } from '@waybill/common/event/event.ts';
import { PROGRESS_TYPE, type Progress, takesProgress } from '@waybill/common/internal-call/progress.ts';
import { makeEvent } from './make-event.ts';
import type { PublishReply } from './publish-reply.ts';
import type { StepContext } from './step.ts';

/** Longest code passed on, as with problems. */
const MAX_CODE_LENGTH = 128;

/** Tells the client that waits for `event`, if its public-web knows of progress, with whatever replies go there; nothing waits for it. */
export function tellProgress(
  event: CloudEvent,
  {
    progress,
    service,
    publishReply,
    context,
  }: { progress: Progress; service: string; publishReply: PublishReply; context: Pick<StepContext, 'span'> },
): void {
  if (!takesProgress(event.replyto)) return;
  const data = { ...progress, code: progress.code.slice(0, MAX_CODE_LENGTH) };
  const { span } = context;
  void publishReply(makeEvent({ type: PROGRESS_TYPE, data }, { event, service, span }, 'reply'));
}
