/** `POST /dispatch` on the internal port: replies for this instance, from whichever dispatcher took them. */
import type { ClockCheck } from '@waybill/common/clock-check.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event.ts';
import { decodeMessage } from '@waybill/common/event-json.ts';
import type { Key } from '@waybill/common/internal-keys.ts';
import type { createReplyAddressVerifier } from '@waybill/common/reply-address.ts';
import { startEventSpan } from '@waybill/common/tracing.ts';
import { verifyCall } from '@waybill/common/verify-call.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ParkedRequests } from './parked-requests.ts';

export type PostRepliesOptions = {
  parked: ParkedRequests;
  keys: Key[];
  clock: ClockCheck;
  replyAddresses: ReturnType<typeof createReplyAddressVerifier>;
  /** The name of this instance, as in its reply addresses. */
  instance: string;
};

/**
 * The handler of `POST /dispatch`: a signed JSON batch of replies. Answers 200 `{"unknown":[correlation id]}` naming
 * those nobody waits for (any more), so the same batch delivered twice is harmless; 410 when the replies are for
 * another instance; 401 when the call is not signed.
 */
export function createPostReplies({ parked, keys, clock, replyAddresses, instance }: PostRepliesOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const body = verifyCall(request, { keys, clock });
    const replies = decodeMessage({ contentType: request.headers['content-type'] ?? '', body });
    await assertForUs(replies);
    const unknown = replies.filter((event) => !deliver(event)).map(({ correlationid }) => correlationid);
    if (unknown.length > 0) request.log.warn({ unknown }, 'replies nobody waits for');
    return reply.send({ unknown });
  };

  async function assertForUs(replies: CloudEvent[]): Promise<void> {
    for (const { replyto } of replies) {
      const address = await replyAddresses.verify(String(replyto));
      if (address.instance !== instance)
        throw new AppError('wrong-instance', `this is ${instance}, the reply is for ${address.instance}`);
    }
  }

  function deliver(event: CloudEvent): boolean {
    const span = startEventSpan({ name: 'deliver', kind: 'internal', event, label: event.type });
    const isSettled = parked.settle(event.correlationid ?? '', event);
    span.end();
    return isSettled;
  }
}
