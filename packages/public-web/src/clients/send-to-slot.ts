import type { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { slotId } from '@waybill/common/internal-call/reply-place.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { Account } from '../core/account.ts';
import { assertPublicType } from '../core/assert-public-type.ts';
import type { DispatcherClient } from '../dispatchers/dispatcher-client.ts';
import { sendEvent } from '../dispatchers/send-event.ts';
import type { Requester } from './sessions.ts';

/** A slot of a mailbox. */
export type Place = { mailbox: string; fence: number; n: number };

/**
 * Sends an event whose result belongs into a slot; resolves when the broker has it, or with the error by which it has not, or
 * may not have it. Never rejects. Counts the event and logs one line.
 */
export type SendToSlot = (
  event: CloudEvent,
  slot: { place: Place; dueMs: number },
  requester: Pick<Requester, 'log'> & { caller: Pick<Requester['caller'], 'assertMaySend'> },
) => Promise<AppError | undefined>;

export type SendToSlotOptions = {
  dispatchers: Pick<DispatcherClient, 'send'>;
  isPublicType(type: string): boolean;
  /** What names a type in telemetry. */
  labelOf(type: string): string;
  /** That of mailboxes. */
  currentReplyAddress(): string;
  account: Account;
};

/** Creates {@link SendToSlot}. */
export function createSendToSlot({
  dispatchers,
  isPublicType,
  labelOf,
  currentReplyAddress,
  account,
}: SendToSlotOptions): SendToSlot {
  const trySend: SendToSlot = async (event, { place, dueMs }, { caller, log }) => {
    try {
      caller.assertMaySend(event.type);
      assertPublicType(event.type, isPublicType);
      event.correlationid = slotId({ ...place, eventId: event.id });
      event.expirytime = new Date(dueMs).toISOString();
      event.replyto = currentReplyAddress();
      // Its client may go, since its result waits.
      const isCancelled = () => false;
      return await sendEvent(event, {
        dispatchers,
        label: labelOf(event.type),
        isCancelled,
        series: place.mailbox,
      });
    } catch (thrown) {
      return toPublicError(thrown, log, { event_id: event.id });
    }
  };

  return async (event, slot, requester) => {
    const startedMs = performance.now();
    const error = await trySend(event, slot, requester);
    account({
      log: requester.log,
      event,
      label: labelOf(event.type),
      status: error?.status ?? 202,
      code: error?.code,
      success: 'accepted',
      durationMs: performance.now() - startedMs,
    });
    return error;
  };
}
