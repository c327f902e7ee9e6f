import { messagingDestination, routeOf } from '@waybill/common/broker/amqp-route.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { isTraced, startEventSpan } from '@waybill/common/telemetry/tracing.ts';
import type { DispatcherClient, SendOutcome, Series } from './dispatcher-client.ts';

/**
 * Hands `event` to the dispatchers under a `send` span, which it carries on. Never rejects; `isCancelled` is asked just
 * before sending, and an event cancelled then is not sent and has no outcome.
 */
export function sendEvent(event: CloudEvent, options: SendEventOptions): Promise<SendOutcome> {
  const { dispatchers, isCancelled, series } = options;
  return isTraced() ? sendTraced(event, options) : dispatchers.send(event, isCancelled, series);
}

export type SendEventOptions = {
  dispatchers: Pick<DispatcherClient, 'send'>;
  /** What names the type in telemetry. */
  label: string;
  isCancelled(): boolean;
  series?: Series | undefined;
};

async function sendTraced(
  event: CloudEvent,
  { dispatchers, label, isCancelled, series }: SendEventOptions,
): Promise<SendOutcome> {
  const span = startEventSpan({
    name: 'send',
    kind: 'producer',
    event,
    label,
    destination: messagingDestination(routeOf({ type: event.type })),
    parent: 'active',
  });
  event.traceparent = span.traceparent;
  event.tracestate = span.tracestate;
  const outcome = await dispatchers.send(event, isCancelled, series);
  span.end(outcome);
  return outcome;
}
