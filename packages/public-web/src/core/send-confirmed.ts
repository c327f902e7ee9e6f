import { AppError, toAppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { DispatcherClient } from '../dispatchers/dispatcher-client.ts';
import { sendEvent } from '../dispatchers/send-event.ts';
import type { Inbox } from '../replies/inbox.ts';
import type { ParkedRequest } from '../replies/parked-requests.ts';
import type { WaitingClient } from './ask.ts';

/**
 * Sends an event whose reply goes elsewhere, if anywhere, and resolves when the broker has it: the confirm is what `request`
 * waits for. When the caller has gone, an event not yet sent is not sent.
 *
 * @throws AppError what the caller is to be told: `unroutable`, `not-accepted`, `outcome-unknown`, or what `makeEvent` throws.
 */
export type SendConfirmed = (
  request: ParkedRequest,
  makeEvent: () => CloudEvent | Promise<CloudEvent>,
  options: {
    /** What names the type in telemetry. */
    label: string;
    onGone: WaitingClient['onGone'];
  },
) => Promise<void>;

/** Creates {@link SendConfirmed}; the confirm is delivered to `inbox`, as a reply would be. */
export function createSendConfirmed({
  inbox,
  dispatchers,
}: {
  inbox: Pick<Inbox, 'deliver'>;
  dispatchers: Pick<DispatcherClient, 'send'>;
}): SendConfirmed {
  const send = async (...[request, makeEvent, { label }]: Parameters<SendConfirmed>): Promise<void> => {
    try {
      const event = await makeEvent();
      const isCancelled = () => !request.startSending();
      const outcome = await sendEvent(event, { dispatchers, label, isCancelled });
      if (outcome) request.fail(outcome);
      else inbox.deliver(event);
    } catch (thrown) {
      request.fail(toAppError(thrown));
    }
  };

  return async (request, makeEvent, options) => {
    void send(request, makeEvent, options);
    options.onGone(() => request.fail(new AppError('client-gone', 'the client has gone')));
    await request.reply;
  };
}
