import type { Publisher } from '@waybill/common/broker/ports.ts';
import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import { NO_CONTENT_TYPE } from '@waybill/common/event/event.ts';
import { encodeMessage } from '@waybill/common/event/event-json.ts';
import type { FurtherEvent, HandlerResult } from './handler.ts';
import { hopsAfter } from './hops.ts';
import { type Maker, makeEvent } from './make-event.ts';
import { type Further, publishEvents } from './publish-events.ts';
import type { PublishReply } from './publish-reply.ts';
import type { Step, StepContext } from './step.ts';

/** What whoever waits is told by a handler that has nothing to say: it is done. */
const NOTHING = { type: NO_CONTENT_TYPE };

/**
 * Publishes what a handler made of an event, until all of it is confirmed: `handled`; or `expired`, when its reply came too
 * late.
 */
export function withPublishedResult(
  next: Step<HandlerResult | undefined>,
  {
    service,
    publisher,
    publishReply,
    publishObserved,
  }: {
    service: string;
    publisher: Publisher;
    publishReply: PublishReply;
    publishObserved: PublishObserved;
  },
): Step {
  return async (event, context) => {
    const { reply, events = [], onConfirmed } = (await next(event, context)) ?? {};
    const isAwaited = event.replyto !== undefined;
    const maker: Maker = { event, service, span: context.span };
    // All are made before any is published, so that a malformed one fails the event and not half of it.
    const answer = reply ?? (isAwaited ? NOTHING : undefined);
    const encodedReply = answer && makeEvent(answer, maker, 'reply');
    const further = events.map((furtherEvent) => toFurther(furtherEvent, maker));
    const observed = Promise.all(further.map(copyFor(publishObserved)));
    await publishEvents(publisher, further, context.signal);
    const replied = isAwaited && encodedReply ? await publishReply(encodedReply) : 'confirmed';
    // After the reply: nobody waits for observers but the ack.
    await observed;
    if (replied === 'expired') return { name: 'expired' };
    tellConfirmed(onConfirmed, context);
    return { name: 'handled' };
  };
}

/** What is kept for this service alone is observed when it was sent. */
function copyFor(publishObserved: PublishObserved) {
  return async ({ message: { to, ...message } }: Further): Promise<void> => {
    if ('type' in to) await publishObserved(to.type, message);
  };
}

function toFurther(
  { delayMs, isContinuation = false, mandatory = isContinuation, ...newEvent }: FurtherEvent,
  maker: Maker,
): Further {
  const { event, service } = maker;
  const encoded = makeEvent(newEvent, { ...maker, hops: hopsAfter(event, { isContinuation }) }, 'event');
  const { type } = encoded.event;
  const to = delayMs === undefined ? { type } : { service, delayMs };
  return { message: { to, ...encodeMessage([encoded]) }, isMandatory: mandatory || delayMs !== undefined };
}

/** All is done by then: another attempt would do it again. */
function tellConfirmed(onConfirmed: HandlerResult['onConfirmed'], { log }: StepContext): void {
  try {
    onConfirmed?.();
  } catch (error) {
    log.error({ err: error }, 'onConfirmed failed');
  }
}
