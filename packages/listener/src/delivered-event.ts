import type { Delivery } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage } from '@waybill/common/event/event-json.ts';

/** One event of a delivery. */
export type DeliveredEvent = {
  /** Its attributes are read by the framework alone; its data is the handler's as well. */
  event: CloudEvent;
  delivery: Delivery;
  /** How many processes died while they held it. */
  crashes: number;
  /** Its place among the events of the delivery. */
  index: number;
  /** How many these are. */
  batchSize: number;
  /** Has it attempted again by who holds it, after a delay. Without it another attempt comes by the broker. */
  retryIn?: (delayMs: number) => void;
};

/**
 * The events of a delivery as they came, to be passed on: read anew, because a handler may have changed the data that it was
 * given, and with all digits of their numbers.
 */
export function originalsOf(delivery: Delivery): CloudEvent[] {
  return decodeMessage(delivery);
}

/** One of {@link originalsOf}; one that came without a trace, as a replayed event does, stays in that of its first span. */
export function originalOf({ event, delivery, index }: DeliveredEvent): CloudEvent {
  const original = originalsOf(delivery)[index] as CloudEvent;
  if (event.traceparent !== undefined) original.traceparent ??= event.traceparent;
  return original;
}
