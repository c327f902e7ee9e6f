/** What is in a mailbox, as its client is to see it. */
import { randomUUID } from 'node:crypto';
import type { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, PROBLEM_TYPE, stripInternal } from '@waybill/common/event/event.ts';
import { slotId } from '@waybill/common/internal-call/reply-place.ts';
import { STORE_SOURCE } from '@waybill/common/internal-call/store-calls.ts';
import { toProblem } from '@waybill/common/problem.ts';
import { toAnswer, toReplyEvent } from '../core/answer-event.ts';
import { PUBLIC_WEB_SOURCE } from '../core/source.ts';
import type { Place } from './send-to-slot.ts';
import { type Entry, GAP_TYPE } from './sessions.ts';
import type { OpenSlot } from './slots.ts';

/** Shows a stored event to its client. */
export function toEntry(token: string, stored: CloudEvent, requestId: string | undefined): Entry {
  return { token, event: toShown(stored, requestId ?? ''), requestId, traceparent: stored.traceparent };
}

/** An entry as one event, where JSON is sent: with its token, and what it answers. */
export function toMessage({
  event,
  token,
  requestId: requestid,
  traceparent: traceresponse,
}: Entry): CloudEvent {
  return { ...event, requestid, token, traceresponse };
}

/** An event of a listener is shown as to any client; what tiers of ours have to say stays as it is. */
function toShown(stored: CloudEvent, requestId: string): CloudEvent {
  const { id, source, time, type } = stored;
  const isOurs = [PUBLIC_WEB_SOURCE, STORE_SOURCE].includes(source) && stored.handledby === undefined;
  if (type !== PROBLEM_TYPE || isOurs) return stripInternal({ ...stored });
  return { ...toReplyEvent(toAnswer(stored, requestId)), id, source, time };
}

/** Says that what came after the token `from`, up to `to`, is not there any more. */
export function toGap({ from, to }: { from: string; to: string }): Entry {
  const event: CloudEvent = {
    specversion: '1.0',
    id: randomUUID(),
    source: PUBLIC_WEB_SOURCE,
    type: GAP_TYPE,
    data: { from, to },
  };
  return { token: to, event, requestId: undefined, traceparent: undefined };
}

/** What fills the slot of an event that has no reply. */
export function toProblemEntry(
  error: AppError,
  { place, eventId, dueMs, traceparent }: OpenSlot & { place: Place },
): CloudEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: PUBLIC_WEB_SOURCE,
    type: PROBLEM_TYPE,
    time: new Date().toISOString(),
    datacontenttype: 'application/problem+json',
    data: toProblem(error, { event_id: eventId }),
    correlationid: slotId({ ...place, eventId }),
    expirytime: new Date(dueMs).toISOString(),
    traceparent,
  };
}
