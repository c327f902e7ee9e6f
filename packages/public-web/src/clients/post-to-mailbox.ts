import { randomUUID } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { ClientName, Reserved } from '@waybill/common/internal-call/store-calls.ts';
import { within } from '@waybill/common/within.ts';
import type { AskStore } from '../later/store-client.ts';
import { assertClientId } from './client-id.ts';
import { type Detach, isNotAccepted } from './detach.ts';
import type { SendToSlot } from './send-to-slot.ts';

/** How long a client that is refused waits for its slot to be taken back. */
const EMPTIED_MS = 3_000;

/**
 * Sends an event whose result goes to the mailbox of a client, without a session; resolves when the broker has it. Beside
 * the events of a session it has no order, among those that are sent so it has that of the calls.
 *
 * @throws AppError why it was not sent: then no result of it comes to the mailbox, and, unless its store does not answer in time, no
 *   problem. Only after `outcome-unknown` its result, or a problem that there is none, comes as if it had been.
 */
export type PostToMailbox = (
  event: CloudEvent,
  options: { client: string; apiKeyId: string | undefined } & Parameters<SendToSlot>[2],
) => Promise<void>;

/** Creates {@link PostToMailbox}; an event may take `deadlineMs`. */
export function createPostToMailbox({
  askStore,
  detach,
  sendToSlot,
  deadlineMs,
}: {
  askStore: AskStore;
  detach: Detach;
  sendToSlot: SendToSlot;
  deadlineMs: number;
}): PostToMailbox {
  async function reserve(eventId: string, call: { id: string } & ClientName): Promise<Reserved> {
    try {
      return await askStore<Reserved>({ call: 'reserve', ...call, eventId, count: 1, deadlineMs });
    } catch (error) {
      // Or a slot that nobody knows of would hold back what comes after it.
      if (isNotAccepted(error)) void detach(call);
      throw error;
    }
  }

  return async (event, { client, apiKeyId: owner = '', ...requester }) => {
    assertClientId(client);
    const dueMs = Date.now() + deadlineMs;
    const reserved = await reserve(event.id, { id: randomUUID(), owner, client });
    const error = await sendToSlot(event, { place: { ...reserved, n: 0 }, dueMs }, requester);
    if (!error) return;
    const isEmptied = error.code !== 'outcome-unknown' && (await takeBack(reserved, dueMs));
    const told = error.code === 'not-accepted' && !isEmptied ? notTakenBack(error) : error;
    throw new AppError(told.code, told.message, {
      extensions: { ...told.extensions, event_id: event.id },
      retryAfterMs: told.retryAfterMs,
      cause: error,
    });
  };

  /** Whether the slot is empty for good: at `dueMs` it is filled. */
  async function takeBack(reserved: Reserved, dueMs: number): Promise<boolean> {
    const emptied = detach({ ...reserved, lastN: -1 });
    const leftMs = Math.min(EMPTIED_MS, dueMs - Date.now());
    return leftMs > 0 && (await within(leftMs, emptied)) && (await emptied) && Date.now() < dueMs;
  }
}

/** Its client will find a problem in the mailbox, and so must not be told that there is nothing. */
function notTakenBack({ message }: AppError): AppError {
  return new AppError('outcome-unknown', `${message}, and the mailbox has a problem in its place`);
}
