/**
 * An event that nobody waits for (`Prefer: respond-async`): it is accepted when the broker has it, and its reply goes to a
 * store, where it can be fetched.
 */
import type { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import { type Problem, toProblem } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { ParkedRequests } from '../replies/parked-requests.ts';
import type { Account } from './account.ts';
import type { Requester } from './answer-event.ts';
import type { WaitingClient } from './ask.ts';
import { assertPublicType } from './assert-public-type.ts';
import type { SendConfirmed } from './send-confirmed.ts';

/** What became of the event: under which correlation id its reply will be, and until when one may come; or a problem. */
export type Accepted =
  | { id: string; dueMs: number; problem?: undefined }
  | { problem: Problem; id?: undefined };

/** Accepts an event; never rejects. Counts it and logs one line, whatever comes of it. */
export type AcceptEvent = (
  event: CloudEvent,
  requester: Pick<Requester, 'caller' | 'log' | 'bytes'> & {
    client: Pick<WaitingClient, 'onGone'> & Required<Pick<WaitingClient, 'locate'>>;
  },
) => Promise<Accepted>;

export type AcceptEventOptions = {
  /** Bounds what is under way. */
  parked: ParkedRequests;
  sendConfirmed: SendConfirmed;
  /** That of a store. */
  currentReplyAddress(): string;
  isPublicType(type: string): boolean;
  /** What names a type in telemetry. */
  labelOf(type: string): string;
  account: Account;
  /** How long the broker is waited for. */
  deadlineMs: number;
  /** How long the event may take. */
  acceptedDeadlineMs: number;
};

/** Creates {@link AcceptEvent}. */
export function createAcceptEvent({
  parked,
  sendConfirmed,
  currentReplyAddress,
  isPublicType,
  labelOf,
  account,
  deadlineMs,
  acceptedDeadlineMs,
}: AcceptEventOptions): AcceptEvent {
  async function accept(
    event: CloudEvent,
    { caller, bytes, client }: Parameters<AcceptEvent>[1],
  ): Promise<Accepted> {
    caller.assertMaySend(event.type);
    assertPublicType(event.type, isPublicType);
    const dueMs = Date.now() + acceptedDeadlineMs;
    const request = parked.park(deadlineMs, bytes);
    event.correlationid = request.correlationId;
    event.expirytime = new Date(dueMs).toISOString();
    event.replyto = currentReplyAddress();
    await sendConfirmed(request, () => event, { label: labelOf(event.type), onGone: client.onGone });
    return { id: request.correlationId, dueMs };
  }

  return async (event, requester) => {
    const startedMs = performance.now();
    const accepted = await accept(event, requester).catch((thrown): Accepted => {
      const error = toPublicError(thrown, requester.log, { event_id: event.id });
      return {
        problem: toProblem(error, { event_id: event.id, ...placeOf(error, event, requester.client) }),
      };
    });
    account({
      log: requester.log,
      event,
      label: labelOf(event.type),
      status: accepted.problem?.status ?? 202,
      code: accepted.problem?.code,
      success: 'accepted',
      durationMs: performance.now() - startedMs,
    });
    return accepted;
  };
}

/** It may have been sent, and so its reply may come. */
function placeOf(
  { code }: AppError,
  event: CloudEvent,
  { locate }: Parameters<AcceptEvent>[1]['client'],
): { location?: string } {
  if (code !== 'outcome-unknown') return {};
  const { correlationid: id = '', id: eventId } = event;
  return { location: locate({ id, dueMs: expiryMs(event), eventId }) };
}
