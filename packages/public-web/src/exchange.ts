/**
 * One event out, its reply back: parks the request, stamps the event, sends it, and waits.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event.ts';
import type { DispatcherClient } from './dispatcher-client.ts';
import type { ParkedRequest, ParkedRequests } from './parked-requests.ts';
import { sendEvent } from './send-event.ts';
import { waitForReply } from './wait-for-reply.ts';

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
    const isCancelled = () => !request.startSending();
    const outcome = await sendEvent(event, { dispatchers, label: labelOf(event.type), isCancelled });
    if (outcome) request.fail(outcome);
  }
}
