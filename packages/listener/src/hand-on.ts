import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import type { Logger } from 'pino';

/** The service that handed it on: it goes round once at the most. */
const HANDED_ON_BY_HEADER = 'waybill-handed-on-by';

/**
 * Deals with an event whose type no instance of the service took in all its attempts: the type has moved to another
 * service, or is gone, and only the binding is left. It is removed (an instance that does take the type binds it again
 * within 2 s), and the event goes to whoever takes the type now, if anybody does: resolves with whether it went.
 */
export type HandOn = (event: CloudEvent, delivery: Delivery) => Promise<boolean>;

/** Creates the {@link HandOn} of one service. */
export function createHandOn({
  service,
  publisher,
  log,
}: {
  service: string;
  publisher: Publisher;
  log: Logger;
}): HandOn {
  return async (event, delivery) => {
    if (HANDED_ON_BY_HEADER in delivery.headers) return false;
    try {
      await publisher.unbind({ service, type: event.type });
    } catch {
      // The broker is away: the next such event removes it.
      return false;
    }
    const outcome = await publisher.publish({
      to: { type: event.type },
      headers: { [HANDED_ON_BY_HEADER]: service },
      ...encodeMessage([encodeEvent(event)]),
    });
    const fields = { event_type: event.type, event_id: event.id, handed_on: outcome === 'confirmed' };
    log.warn(fields, 'no longer bound to a type that no handler takes');
    return outcome === 'confirmed';
  };
}
