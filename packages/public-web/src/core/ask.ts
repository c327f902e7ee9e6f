/**
 * One event out, its reply back (request-reply): parks the request, stamps the event, sends it, and waits.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { DispatcherClient } from '../dispatchers/dispatcher-client.ts';
import { sendEvent } from '../dispatchers/send-event.ts';
import type { ParkedRequest, ParkedRequests } from '../replies/parked-requests.ts';
import type { ExpectedWait } from './expected-wait.ts';
import type { KnownTroubles } from './known-troubles.ts';

/** The client that waits for an answer, as its way in knows it. */
export type WaitingClient = {
  /** Calls back once the client has gone without its answer; at once when it has gone already. */
  onGone(giveUp: () => void): void;
  /** Counts a reply to it in; false when its answer has no room for a reply of so many bytes. */
  hold(bytes: number): boolean;
};

export type AskOptions = {
  client: WaitingClient;
  /** How long to wait. */
  deadlineMs: number;
  /** About how large the event is. */
  bytes: number;
};

/**
 * Sends `event` and resolves with its reply, which may be a `waybill.Problem`. When the client has gone the wait ends
 * at once, and an event not yet sent is not sent.
 *
 * @throws AppError what the client is to be told instead; within `deadlineMs` at the latest.
 */
export type Ask = (event: CloudEvent, options: AskOptions) => Promise<CloudEvent>;

/** Creates the {@link Ask} of one instance. */
export function createAsk({
  parked,
  expectedWait,
  dispatchers,
  isPublicType,
  labelOf,
  currentReplyAddress,
  troubles,
}: {
  parked: ParkedRequests;
  expectedWait: ExpectedWait;
  dispatchers: Pick<DispatcherClient, 'send'>;
  isPublicType(type: string): boolean;
  /** What names a type in telemetry. */
  labelOf(type: string): string;
  currentReplyAddress(): string;
  /** Learns who answers what, and says what is known when nobody has. */
  troubles?: Pick<KnownTroubles, 'learn' | 'explain'>;
}): Ask {
  const expiryTime = createExpiryTime();

  return async (event, { client, deadlineMs, bytes }) => {
    if (!isPublicType(event.type))
      throw new AppError(
        'unroutable',
        `clients may not send events of type ${event.type} (setting PUBLIC_EVENT_TYPES)`,
      );
    const leave = expectedWait.enter(event.type, deadlineMs);
    let isAnswered = false;
    try {
      const request = parked.park(deadlineMs, bytes, client.hold);
      event.correlationid = request.correlationId;
      event.expirytime = expiryTime(deadlineMs);
      event.replyto = currentReplyAddress();
      void send(event, request);
      client.onGone(() => request.fail(new AppError('client-gone', 'the client has gone')));
      const reply = await request.reply;
      isAnswered = true;
      troubles?.learn(event.type, reply.handledby);
      return reply;
    } catch (error) {
      throw explain(error, event.type);
    } finally {
      leave(isAnswered);
    }
  };

  /** Adds what is known to be wrong to an error that says only that nobody knows. */
  function explain(error: unknown, type: string): unknown {
    if (!(error instanceof AppError) || error.code !== 'outcome-unknown') return error;
    const { code, message, extensions, retryAfterMs } = error;
    const whole = message + (troubles?.explain(type) ?? '');
    return new AppError(code, whole, { extensions, retryAfterMs, cause: error });
  }

  async function send(event: CloudEvent, request: ParkedRequest): Promise<void> {
    const isCancelled = () => !request.startSending();
    const outcome = await sendEvent(event, { dispatchers, label: labelOf(event.type), isCancelled });
    // An event whose outcome is unknown may well be in the broker, and its reply on the way: the deadline tells.
    if (outcome && outcome.code !== 'outcome-unknown') request.fail(outcome);
  }
}

/** The time in `deadlineMs`. Those who ask in one millisecond, as under load, share one text. */
function createExpiryTime(): (deadlineMs: number) => string {
  let lastMs = 0;
  let last = '';
  return (deadlineMs) => {
    const expiryMs = Date.now() + deadlineMs;
    if (expiryMs !== lastMs) last = new Date(expiryMs).toISOString();
    lastMs = expiryMs;
    return last;
  };
}
