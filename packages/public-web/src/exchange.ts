/**
 * One event out, its reply back: parks the request, stamps the event, sends it, and waits.
 */
import { EVENTS_EXCHANGE } from '@waybill/common/broker/topology.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event.ts';
import { startEventSpan } from '@waybill/common/tracing.ts';
import type { DispatcherClient } from './dispatcher-client.ts';
import type { ParkedRequest, ParkedRequests } from './parked-requests.ts';

/**
 * Sends `event` and resolves with its reply, which may be a `waybill.Problem`.
 *
 * `deadlineMs` is how long to wait, `bytes` about how large the event is. `signal` aborts when the client has gone: the wait ends at once, and an event not
 * yet sent is not sent.
 *
 * @throws AppError what the client is to be told instead; within `deadlineMs` at the latest.
 */
export type Exchange = (
  event: CloudEvent,
  options: { deadlineMs: number; bytes: number; signal: AbortSignal },
) => Promise<CloudEvent>;

/** Creates the {@link Exchange} of one instance. */
export function createExchange({
  parked,
  dispatchers,
  isPublicType,
  labelOf,
  currentReplyAddress,
}: {
  parked: ParkedRequests;
  dispatchers: DispatcherClient;
  isPublicType(type: string): boolean;
  /** What names a type in telemetry. */
  labelOf(type: string): string;
  currentReplyAddress(): string;
}): Exchange {
  return async (event, { deadlineMs, bytes, signal }) => {
    if (!isPublicType(event.type))
      throw new AppError(
        'unroutable',
        `clients may not send events of type ${event.type} (setting PUBLIC_EVENT_TYPES)`,
      );
    const request = parked.park(deadlineMs, bytes);
    event.correlationid = request.correlationId;
    event.expirytime = new Date(Date.now() + deadlineMs).toISOString();
    event.replyto = currentReplyAddress();
    void send(event, request);
    return await waitForReply(request, signal);
  };

  async function send(event: CloudEvent, request: ParkedRequest): Promise<void> {
    const span = startEventSpan({
      name: 'send',
      kind: 'producer',
      event,
      label: labelOf(event.type),
      destination: EVENTS_EXCHANGE,
      parent: 'active',
    });
    event.traceparent = span.traceparent;
    event.tracestate = span.tracestate;
    const outcome = await dispatchers.send(event, () => !request.startSending());
    span.end(outcome);
    if (outcome) request.fail(outcome);
  }
}

async function waitForReply(request: ParkedRequest, signal: AbortSignal): Promise<CloudEvent> {
  const onGone = () => request.fail(new AppError('client-gone', 'the client has gone'));
  if (signal.aborted) onGone();
  signal.addEventListener('abort', onGone, { once: true });
  try {
    return await request.reply;
  } finally {
    signal.removeEventListener('abort', onGone);
  }
}
