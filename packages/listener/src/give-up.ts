import { type DeadLetterReason, deadLetter } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { failedAttemptsOf } from './headers.ts';
import { makeProblem } from './make-event.ts';
import type { PublishReply } from './publish-reply.ts';

/** Longest code and detail passed on: an error may quote a whole page, and a reply has a bound. */
const MAX_CODE_LENGTH = 128;
const MAX_DETAIL_LENGTH = 1_000;

/** Why an event is given up; `detail` is for the client's eyes, the error is for the dead letter's reader. */
export type Failure = { reason: DeadLetterReason; error: { code: string; message: string }; detail?: string };

/**
 * Dead-letters the event and tells the client that waits for it 502. The caller acks afterwards.
 *
 * @throws AppError when the delivery is lost before the broker confirms: then somebody else gets the event.
 */
export type GiveUp = (event: CloudEvent, delivery: Delivery, failure: Failure) => Promise<void>;

/** Creates the {@link GiveUp} of one service. */
export function createGiveUp({
  service,
  publisher,
  publishReply,
}: {
  service: string;
  publisher: Publisher;
  publishReply: PublishReply;
}): GiveUp {
  return async (event, delivery, { reason, error, detail }) => {
    const code = error.code.slice(0, MAX_CODE_LENGTH);
    const attempts = failedAttemptsOf(delivery) + 1;
    await deadLetter({ publisher, delivery, event, reason, attempts, error: { ...error, code } });
    if (!event.replyto) return;
    await publishReply(
      makeProblem({ event, service, reason, code, detail: detail?.slice(0, MAX_DETAIL_LENGTH) }),
    );
  };
}
