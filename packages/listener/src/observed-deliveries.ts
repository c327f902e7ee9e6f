import type { Delivery, Subscriber } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage, encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';

/**
 * `subscriber` for observers: what it delivers says no longer who waits for an answer, nor until when. So an observer
 * answers nobody, whatever becomes of its event, and one that was away for longer than a client waits misses nothing.
 */
export function observing(subscriber: Pick<Subscriber, 'subscribe'>): Pick<Subscriber, 'subscribe'> {
  return {
    subscribe: ({ onDelivery, ...options }) =>
      subscriber.subscribe({ ...options, onDelivery: (delivery) => onDelivery(toObserved(delivery)) }),
  };
}

function toObserved(delivery: Delivery): Delivery {
  try {
    const events = decodeMessage(delivery).map(withoutClient);
    return { ...delivery, ...encodeMessage(events.map(encodeEvent)) };
  } catch {
    // It holds no events, and is dead-lettered as it came.
    return delivery;
  }
}

function withoutClient({ correlationid, replyto, expirytime, ...event }: CloudEvent): CloudEvent {
  return event;
}
