/**
 * One event out, its reply back (request-reply): parks the request, stamps the event, sends it, and waits.
 */
import { AppError, toAppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import type { DispatcherClient, Series } from '../dispatchers/dispatcher-client.ts';
import { sendEvent } from '../dispatchers/send-event.ts';
import type { ParkedRequest, ParkedRequests } from '../replies/parked-requests.ts';
import { assertPublicType } from './assert-public-type.ts';
import type { ExpectedWait } from './expected-wait.ts';
import type { KnownTroubles } from './known-troubles.ts';

/** The client that waits for an answer, as its way in knows it. */
export type WaitingClient = {
  /** Calls back once the client has gone without its answer; at once when it has gone already. */
  onGone(giveUp: () => void): void;
  /** Counts a reply to it in; false when its answer has no room for a reply of so many bytes. */
  hold(bytes: number): boolean;
  /** Where it may look for a reply that comes too late, if its way in has such a place. */
  locate?(request: { id: string; dueMs: number; eventId: string }): string;
  /** Told, before anything is sent, where the reply will be should this instance die; only for who has others ask for it then. */
  onParked?: ((request: { id: string; dueMs: number; eventId: string }) => void) | undefined;
};

/** Where replies are kept that come too late. */
export type Late = {
  /** How much longer than its client waits an event may take. */
  moreMs: number;
  /** Has the reply to a request kept. */
  add(correlationId: string): void;
  /** Of replies that are kept when this instance does not take them. */
  currentReplyAddress(): string;
};

export type AskOptions = {
  client: WaitingClient;
  /** How long to wait. */
  deadlineMs: number;
  /** About how large the event is. */
  bytes: number;
  /** What it has an order in, if it came with others. */
  series?: Series;
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
  late,
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
  /** Undefined without a store: then a reply that comes too late is dropped. */
  late?: Late | undefined;
}): Ask {
  const expiryTime = createExpiryTime();
  const moreMs = late?.moreMs ?? 0;

  return async (event, { client, deadlineMs, bytes, series }) => {
    assertPublicType(event.type, isPublicType);
    const leave = expectedWait.enter(event.type, deadlineMs);
    let isAnswered = false;
    try {
      const request = parked.park(deadlineMs, bytes, client.hold);
      event.correlationid = request.correlationId;
      event.expirytime = expiryTime(deadlineMs + moreMs);
      event.replyto = late && client.onParked ? late.currentReplyAddress() : currentReplyAddress();
      client.onParked?.({ id: request.correlationId, dueMs: expiryMs(event), eventId: event.id });
      send(event, request, series);
      client.onGone(() => request.fail(new AppError('client-gone', 'the client has gone')));
      const reply = await request.reply;
      isAnswered = true;
      troubles?.learn(event.type, reply.handledby);
      return reply;
    } catch (thrown) {
      throw explain(toAppError(thrown), event, client);
    } finally {
      leave(isAnswered);
    }
  };

  /** Adds what is known to be wrong to an error that says only that nobody knows, and where its client may look later. */
  function explain(error: AppError, event: CloudEvent, client: WaitingClient): AppError {
    if (error.code !== 'outcome-unknown') return error;
    const { code, message, retryAfterMs } = error;
    const whole = message + (troubles?.explain(event.type) ?? '');
    const extensions = { ...error.extensions, ...placeOf(event, client) };
    return new AppError(code, whole, { extensions, retryAfterMs, cause: error });
  }

  /** It may have been sent, and so its reply may come. */
  function placeOf(event: CloudEvent, { locate }: WaitingClient): { location?: string } {
    if (!late || !locate) return {};
    const { correlationid: id = '', id: eventId } = event;
    late.add(id);
    return { location: locate({ id, dueMs: expiryMs(event), eventId }) };
  }

  function send(event: CloudEvent, request: ParkedRequest, series: Series | undefined): void {
    const isCancelled = () => !request.startSending();
    const sent = sendEvent(event, { dispatchers, label: labelOf(event.type), isCancelled, series });
    void sent.then((outcome) => {
      // An event whose outcome is unknown may well be in the broker, and its reply on the way: the deadline tells.
      if (outcome && outcome.code !== 'outcome-unknown') request.fail(outcome);
    });
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
