import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeMessage } from '@waybill/common/event/event-json.ts';
import pLimit from 'p-limit';
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
  const { type } = encoded.event;
  const wait = delayMs === undefined ? undefined : waitFor(delayMs);
  const to = wait ? { service, delayMs: wait.delayMs } : { type };
  const isMandatory = mandatory || wait !== undefined || answerTo !== undefined;
  return {
    message: { to, ...(wait && { headers: wait.headers }), ...encodeMessage([encoded]) },
    isMandatory,
  };
}

/**
 * Publishes the copies for observers, some at a time, while the delivery is held (`signal`). What waits goes to this service
 * alone, and is not observed.
 */
export async function publishCopies(
  further: readonly Further[],
  publishObserved: PublishObserved,
  signal: AbortSignal,
): Promise<void> {
  if (further.length === 0) return;
  await pLimit(MAX_COPIES_IN_FLIGHT).map(further, async ({ message: { to, ...message } }) => {
    if ('type' in to) await publishObserved(to.type, message, signal);
  });
}

function answerToOf({ correlationid, replyto, expirytime }: CloudEvent): Maker['answerTo'] {
  return { correlationid, replyto, expirytime };
}
