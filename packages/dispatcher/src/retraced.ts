import { type EncodedEvent, encodeEvent, exactEvent } from '@waybill/common/event/event-json.ts';
import type { EventSpan } from '@waybill/common/telemetry/tracing.ts';

/** The event as it travels on: below its span here, or just as it came where nothing is traced. */
export function retraced(encoded: EncodedEvent, { traceparent, tracestate }: EventSpan): EncodedEvent {
  if (traceparent === undefined) return encoded;
  return encodeEvent({ ...exactEvent(encoded), traceparent, tracestate });
}
