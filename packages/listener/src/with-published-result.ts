import type { OutgoingMessage, Publisher } from '@waybill/common/broker/ports.ts';
import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import { encodeMessage } from '@waybill/common/event/event-json.ts';
import { type FurtherEvent, type HandlerResult, TerminalError } from './handler.ts';
import { hopsAfter } from './hops.ts';
import { type Maker, makeEvent } from './make-event.ts';
import { publishEvents } from './publish-events.ts';
import type { PublishReply } from './publish-reply.ts';
import type { Step, StepContext } from './step.ts';

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
    if (!reply && event.replyto)
      throw new TerminalError('no-reply', `the handler of ${event.type} made no reply`);
    const maker: Maker = { event, service, span: context.span };
    // All are made before any is published, so that a malformed one fails the event and not half of it.
    const encodedReply = reply && makeEvent(reply, maker, 'reply');
    const messages = events.map((furtherEvent) => toMessage(furtherEvent, maker));
    const observed = Promise.all(messages.map(copyFor(publishObserved)));
    await publishEvents(publisher, messages, context.signal);
    const isAwaited = encodedReply !== undefined && event.replyto !== undefined;
    const replied = isAwaited ? await publishReply(encodedReply) : 'confirmed';
    // After the reply: nobody waits for observers but the ack.
    await observed;
    if (replied === 'expired') return { name: 'expired' };
    tellConfirmed(onConfirmed, context);
    return { name: 'handled' };
  };
}

/** What is kept for this service alone is observed when it was sent. */
function copyFor(publishObserved: PublishObserved) {
  return async ({ to, ...message }: OutgoingMessage): Promise<void> => {
    if ('type' in to) await publishObserved(to.type, message);
  };
}

function toMessage({ delayMs, isContinuation, ...newEvent }: FurtherEvent, maker: Maker): OutgoingMessage {
  const { event, service } = maker;
  const encoded = makeEvent(newEvent, { ...maker, hops: hopsAfter(event, { isContinuation }) }, 'event');
  const { type } = encoded.event;
  return { to: delayMs === undefined ? { type } : { service, delayMs }, ...encodeMessage([encoded]) };
}

/** All is done by then: another attempt would do it again. */
function tellConfirmed(onConfirmed: HandlerResult['onConfirmed'], { log }: StepContext): void {
  try {
    onConfirmed?.();
  } catch (error) {
    log.error({ err: error }, 'onConfirmed failed');
  }
}
