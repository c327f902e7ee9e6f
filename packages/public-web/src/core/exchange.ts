/**
 * One event out, its reply back: parks the request, stamps the event, sends it, and waits.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { DispatcherClient } from '../dispatchers/dispatcher-client.ts';
import { sendEvent } from '../dispatchers/send-event.ts';
import type { HeldAnswer } from '../replies/held-replies.ts';
import type { ParkedRequest, ParkedRequests } from '../replies/parked-requests.ts';
import type { ExpectedWait } from './expected-wait.ts';
import { waitForReply } from './wait-for-reply.ts';

export type ExchangeOptions = {
  /** How long to wait. */
  deadlineMs: number;
  /** About how large the event is. */
  bytes: number;
  /** Whether the answer has room for a reply as large. */
  hold?: HeldAnswer['hold'];
  /** Aborts when the client has gone. */
  signal: AbortSignal;
};

/**
 * Sends `event` and resolves with its reply, which may be a `waybill.Problem`. When the client has gone the wait ends
 * at once, and an event not yet sent is not sent.
 *
 * @throws AppError what the client is to be told instead; within `deadlineMs` at the latest.
 */
export type Exchange = (event: CloudEvent, options: ExchangeOptions) => Promise<CloudEvent>;

/** Creates the {@link Exchange} of one instance. */
export function createExchange({
  parked,
  expectedWait,
  dispatchers,
  isPublicType,
  labelOf,
  currentReplyAddress,
}: {
  parked: ParkedRequests;
  expectedWait: ExpectedWait;
  dispatchers: DispatcherClient;
  isPublicType(type: string): boolean;
  /** What names a type in telemetry. */
  labelOf(type: string): string;
  currentReplyAddress(): string;
}): Exchange {
  return async (event, options) => {
    if (!isPublicType(event.type))
      throw new AppError(
        'unroutable',
        `clients may not send events of type ${event.type} (setting PUBLIC_EVENT_TYPES)`,
      );
    const leave = expectedWait.enter(event.type, options.deadlineMs);
    let isAnswered = false;
    try {
      const reply = await parkAndSend(event, options);
      isAnswered = true;
      return reply;
    } finally {
      leave(isAnswered);
    }
  };

  async function parkAndSend(
    event: CloudEvent,
    { deadlineMs, bytes, hold, signal }: ExchangeOptions,
  ): Promise<CloudEvent> {
    const request = parked.park(deadlineMs, bytes, hold);
    event.correlationid = request.correlationId;
    event.expirytime = new Date(Date.now() + deadlineMs).toISOString();
    event.replyto = currentReplyAddress();
    void send(event, request);
    return await waitForReply(request, signal);
  }

  async function send(event: CloudEvent, request: ParkedRequest): Promise<void> {
    const isCancelled = () => !request.startSending();
    const outcome = await sendEvent(event, { dispatchers, label: labelOf(event.type), isCancelled });
    // An event whose outcome is unknown may well be in the broker, and its reply on the way: the deadline tells.
    if (outcome && outcome.code !== 'outcome-unknown') request.fail(outcome);
  }
}
