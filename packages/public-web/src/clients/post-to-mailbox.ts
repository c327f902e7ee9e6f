import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { Reserved } from '@waybill/common/internal-call/store-calls.ts';
import type { AskStore } from '../later/store-client.ts';
import { assertClientId } from './client-id.ts';
import type { SendToSlot } from './send-to-slot.ts';

/**
 * Sends an event whose result goes to the mailbox of a client, without a session; resolves when the broker has it. Beside
 * the events of a session it has no order, among those that are sent so it has that of the calls.
 *
 * @throws AppError why it was not sent: then nothing of it comes to the mailbox. Only after `outcome-unknown` its result, or a
 *   problem that there is none, comes as if it had been.
 */
export type PostToMailbox = (
  event: CloudEvent,
  options: { client: string; apiKeyId: string | undefined } & Parameters<SendToSlot>[2],
) => Promise<void>;

/** Creates {@link PostToMailbox}; an event may take `deadlineMs`. */
export function createPostToMailbox({
  askStore,
  sendToSlot,
  deadlineMs,
}: {
  askStore: AskStore;
  sendToSlot: SendToSlot;
  deadlineMs: number;
}): PostToMailbox {
  return async (event, { client, apiKeyId: owner = '', ...requester }) => {
    assertClientId(client);
    const dueMs = Date.now() + deadlineMs;
    const reserved = await askStore<Reserved>({ call: 'reserve', owner, client, count: 1, deadlineMs });
    const error = await sendToSlot(event, { place: { ...reserved, n: 0 }, dueMs }, requester);
    if (!error) return;
    if (error.code !== 'outcome-unknown')
      // A store that is away fills the slot at its deadline.
      await askStore({ call: 'detach', ...reserved, lastN: -1, deadlineMs }).catch(() => {});
    throw new AppError(error.code, error.message, {
      extensions: { ...error.extensions, event_id: event.id },
      retryAfterMs: error.retryAfterMs,
      cause: error,
    });
  };
}
