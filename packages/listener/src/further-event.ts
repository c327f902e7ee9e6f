import { destinationOf } from '@waybill/common/broker/partitions.ts';
import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeMessage } from '@waybill/common/event/event-json.ts';
import type { FurtherEvent } from './handler.ts';
import { hopsAfter } from './hops.ts';
import { type Maker, makeEvent } from './make-event.ts';
import type { Further } from './publish-events.ts';
import { waitFor } from './wait.ts';

/** Of one event. Those of 64 events handled at once are as many as there may be of all (`publish-observed.ts`). */
const MAX_COPIES_IN_FLIGHT = 8;

/**
 * Makes a further event.
 *
 * @throws TerminalError as {@link makeEvent}.
 */
export function toFurther(
  { delayMs, isContinuation = false, reply, mandatory = isContinuation, ...newEvent }: FurtherEvent,
  maker: Maker,
): Further {
  const { event, service } = maker;
  const answerTo = reply === 'later' ? answerToOf(event) : undefined;
  const hops = hopsAfter(event, { isContinuation });
  const encoded = makeEvent(newEvent, { ...maker, hops, answerTo }, 'event');
  const wait = delayMs === undefined ? undefined : waitFor(delayMs);
  const to = wait ? { service, delayMs: wait.delayMs } : destinationOf(encoded.event);
  const isMandatory = mandatory || wait !== undefined || answerTo !== undefined;
  return {
    message: { to, ...(wait && { headers: wait.headers }), ...encodeMessage([encoded]) },
    isMandatory,
  };
}

/**
 * Publishes the copies for observers, some at a time, while the delivery is held (`signal`); of a type no more once the broker
 * has not taken one. What waits goes to this service alone, and is not observed.
 */
export async function publishCopies(
  further: readonly Further[],
  publishObserved: PublishObserved,
  signal: AbortSignal,
): Promise<void> {
  const untaken = new Set<string>();
  let next = 0;
  async function publishNext(): Promise<void> {
    for (let each = further[next++]; each; each = further[next++]) {
      const { to, ...message } = each.message;
      // One that is not answered takes seconds, and those after it would hold the event for as long each.
      if (!('type' in to) || untaken.has(to.type)) continue;
      if (!(await publishObserved(to.type, message, signal))) untaken.add(to.type);
    }
  }
  // The first are written at once, and so before the events.
  await Promise.all(Array.from({ length: Math.min(MAX_COPIES_IN_FLIGHT, further.length) }, publishNext));
}

function answerToOf({ correlationid, replyto, expirytime }: CloudEvent): Maker['answerTo'] {
  return { correlationid, replyto, expirytime };
}
