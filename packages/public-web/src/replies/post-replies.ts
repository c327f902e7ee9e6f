/** `POST /dispatch` on the internal port: replies for this instance, from whichever dispatcher took them. */

import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage } from '@waybill/common/event/event-json.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import { PROGRESS_TYPE } from '@waybill/common/internal-call/progress.ts';
import type { createReplyAddressVerifier } from '@waybill/common/internal-call/reply-address.ts';
import { CALLBACK_CHECK_TYPE } from '@waybill/common/internal-call/troubles.ts';
import { startEventSpan } from '@waybill/common/telemetry/tracing.ts';
import type { LateRequests } from '../later/late-requests.ts';
import type { HeldReplies } from './held-replies.ts';
import type { Inbox } from './inbox.ts';

export type PostRepliesOptions = {
  inbox: Pick<Inbox, 'deliver' | 'note'>;
  /** Those that their clients may fetch. */
  late?: Pick<LateRequests, 'has'> | undefined;
  held: Pick<HeldReplies, 'hasRoom'>;
  replyAddresses: ReturnType<typeof createReplyAddressVerifier>;
  /** The name of this instance, as in its reply addresses. */
  instance: string;
  /** Called when replies for this instance have come in. */
  onReached?(): void;
};

/** Ids of replies that nobody waits for; those that may be fetched are `late`. */
type Untaken = { unknown: unknown[]; late?: unknown[] };

/**
 * What handles `POST /dispatch`, a JSON batch of replies. Answers 200 `{"unknown":[correlation id]}` naming
 * those nobody waits for (any more), and in `late` those of them whose clients were told where to fetch them, so the same
 * batch delivered twice is harmless; 410 when the replies are for another instance; 503 when clients are slow to read what has come before.
 */
export function createPostReplies({
  inbox,
  late,
  held,
  replyAddresses,
  instance,
  onReached = () => {},
}: PostRepliesOptions) {
  return async ({ body, contentType, log }: InternalCall): Promise<Untaken> => {
    if (!held.hasRoom()) throw new AppError('not-accepted', 'too many replies wait for their clients');
    const replies = decodeMessage({ contentType, body });
    await assertForUs(replies);
    onReached();
    const untaken = replies
      .filter((event) => !deliver(event, sizeIn(body, replies, event)))
      .map(({ correlationid }) => correlationid);
    const { unknown = [], late: tooLate } = Object.groupBy(untaken, (id) =>
      id !== undefined && late?.has(id) ? 'late' : 'unknown',
    );
    // Clients can cause them without end, by going before their reply comes; that is counted where they go.
    if (unknown.length > 0) log.debug({ unknown }, 'replies nobody waits for');
    return tooLate ? { unknown, late: tooLate } : { unknown };
  };

  async function assertForUs(replies: CloudEvent[]): Promise<void> {
    let last: string | undefined;
    for (const { replyto = '' } of replies) {
      // Nearly always that of the one before.
      if (replyto === last) continue;
      last = replyto;
      const address = await replyAddresses.verify(replyto);
      if (address.kind !== 'callback' || address.instance !== instance)
        throw new AppError('wrong-instance', `this is ${instance}, the reply is for ${address.instance}`);
    }
  }

  function deliver(event: CloudEvent, bytes: number): boolean {
    if (event.type === CALLBACK_CHECK_TYPE) return true;
    if (event.type === PROGRESS_TYPE) return note(event);
    const span = startEventSpan({ name: 'deliver', kind: 'internal', event, label: event.type });
    const isTaken = inbox.deliver(event, bytes);
    span.end();
    return isTaken;
  }

  /** For those who wait still. That nobody does is no matter. */
  function note(event: CloudEvent): true {
    inbox.note(event);
    return true;
  }
}

/** Below this it does not matter whose the bytes are. */
const SMALL_BATCH_BYTES = 64 * 1024;

function sizeIn(body: Buffer, replies: readonly CloudEvent[], event: CloudEvent): number {
  if (replies.length === 1 || body.length <= SMALL_BATCH_BYTES) return body.length / replies.length;
  return sizeOf(event);
}

/** Of a number, a boolean or null. */
const SCALAR_BYTES = 8;

/** About as large as its JSON, which is not made for that: large values are mostly texts, and those know their length. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return SCALAR_BYTES;
  let bytes = 0;
  if (Array.isArray(value)) for (const item of value) bytes += sizeOf(item);
  else for (const name in value) bytes += name.length + sizeOf((value as Record<string, unknown>)[name]);
  return bytes;
}
