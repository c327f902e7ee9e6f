import type { Publisher } from '@waybill/common/broker/ports.ts';
import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import { NO_CONTENT_TYPE, PROBLEM_TYPE } from '@waybill/common/event/event.ts';
import { publishCopies, toFurther } from './further-event.ts';
import { type FurtherEvent, type HandlerResult, type NewEvent, TerminalError } from './handler.ts';
import { type Maker, makeEvent } from './make-event.ts';
import { publishEvents } from './publish-events.ts';
import type { PublishReply } from './publish-reply.ts';
import type { Step, StepContext, Work } from './step.ts';

/** What the client that waits is told by a handler that has nothing to say: it is done. */
const NOTHING = { type: NO_CONTENT_TYPE };

/**
 * Publishes what a handler made of an event, until all of it is confirmed: `handled`; or `expired`, when its reply came too
 * late.
 */
export function withPublishedResult(
  next: Work<HandlerResult | undefined>,
  {
    service,
    publisher,
    publishReply,
    publishObserved,
    maxEventBytes,
  }: {
    service: string;
    publisher: Publisher;
    publishReply: PublishReply;
    publishObserved: PublishObserved;
    maxEventBytes?: number | undefined;
  },
): Step {
  return async (event, context) => {
    const { reply, events = [], onConfirmed } = (await next(event, context)) ?? {};
    const isAwaited = event.replyto !== undefined && !isLeftToOther(reply, events);
    const maker: Maker = { event, service, span: context.span, maxEventBytes };
    assertOwnType(reply);
    // All are made before any is published, so that a malformed one fails the event and not half of it.
    const answer = reply ?? (isAwaited ? NOTHING : undefined);
    const encodedReply = answer && makeEvent(answer, maker, 'reply');
    const further = events.map((furtherEvent) => toFurther(furtherEvent, maker));
    let observed: Promise<void> | undefined;
    if (further.length > 0) {
      observed = publishCopies(further, publishObserved, context.signal);
      await publishEvents(publisher, further, context.signal);
    }
    const replied = isAwaited && encodedReply ? await publishReply(encodedReply) : 'confirmed';
    // After the reply: nobody waits for observers but the ack.
    await observed;
    if (replied === 'expired') return { name: 'expired' };
    tellConfirmed(onConfirmed, context);
    return { name: 'handled' };
  };
}

/** What a handler may say by a type of Waybill's own; by any other, public-web would take the reply for none. */
const REPLY_TYPES: readonly string[] = [PROBLEM_TYPE, NO_CONTENT_TYPE];

function assertOwnType(reply: NewEvent | undefined): void {
  if (reply && String(reply.type).startsWith('waybill.') && !REPLY_TYPES.includes(reply.type))
    throw new TerminalError('invalid-reply', `${reply.type} is a type of Waybill's own, and no reply`);
}

/** Whether the answer is left to a further event, which then is the only one. */
function isLeftToOther(reply: NewEvent | undefined, events: readonly FurtherEvent[]): boolean {
  const later = events.filter((each) => each.reply === 'later').length;
  if (later + (reply ? 1 : 0) > 1)
    throw new TerminalError(
      'invalid-reply',
      "the handler made a reply and left it to a further event, or to several ('later')",
    );
  return later > 0;
}

/** All is done by then: another attempt would do it again. */
function tellConfirmed(onConfirmed: HandlerResult['onConfirmed'], { log }: StepContext): void {
  try {
    onConfirmed?.();
  } catch (error) {
    log.error({ err: error }, 'onConfirmed failed');
  }
}
