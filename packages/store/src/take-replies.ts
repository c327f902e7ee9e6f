/** `POST /append`: a batch of replies, from a dispatcher or, for what it has to say itself, from public-web. */
import { type Batcher, createBatcher } from '@waybill/common/batch.ts';
import { MAX_BATCH_BYTES } from '@waybill/common/batch-limits.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import { decodeMessage } from '@waybill/common/event/event-json.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import { PROGRESS_TYPE } from '@waybill/common/internal-call/progress.ts';
import { placeOf } from '@waybill/common/internal-call/reply-place.ts';
import type { AppendResult } from '@waybill/common/internal-call/store-calls.ts';
import { batchSize, events } from '@waybill/common/telemetry/metrics.ts';
import type { Answers, NewAnswer } from './answers.ts';
import type { Mailboxes, NewEntry } from './mailboxes.ts';

/** Replies of one transaction, whose commit costs more than any of them. */
const MAX_REPLIES = 256;
/** Waiting for the transaction under way. Callers have a second to wait, and send what was refused again. */
const MAX_QUEUED = 4_096;
const MAX_WAIT_MS = 900;
/** How long a holder has to fill the slots of its expired events by itself, as it knows which events those are. */
const HOLDER_FILLS_MS = 3_000;

const GONE: AppendResult = { outcome: 'gone' };

/**
 * What handles `POST /append`: answers 200 with `{"results":[AppendResult]}` in the order of the replies, of which nothing is
 * lost any more. Whatever comes from several callers while a transaction is under way goes into the next one.
 */
export function createTakeReplies({
  mailboxes,
  answers,
}: {
  mailboxes: Pick<Mailboxes, 'append'>;
  answers: Pick<Answers, 'keep'>;
}) {
  const entries = createTurns<NewEntry>((some) => mailboxes.append(some));
  const kept = createTurns<NewAnswer>((some) => answers.keep(some));

  async function take(reply: CloudEvent): Promise<AppendResult> {
    const place = placeOf(reply.correlationid);
    // The first answer stays, and dispatchers of before send progress as one.
    if (!place || reply.type === PROGRESS_TYPE) return GONE;
    // The address is of no use any more, and longer than many a reply.
    const event = JSON.stringify({ ...reply, replyto: undefined });
    const bytes = Buffer.byteLength(event);
    if (place.kind === 'answer') return (await kept.add({ id: place.id, event }, bytes)) ?? GONE;
    const { mailbox, fence, n } = place;
    const expiredMs = expiryMs(reply);
    const dueMs = Number.isFinite(expiredMs) ? expiredMs + HOLDER_FILLS_MS : undefined;
    return (await entries.add({ mailbox, fence, n, event, bytes, dueMs }, bytes)) ?? GONE;
  }

  return async ({ body, contentType }: InternalCall): Promise<{ results: AppendResult[] }> => {
    const replies = decodeMessage({ contentType, body });
    const results = await Promise.all(replies.map(take));
    replies.forEach(({ type }, index) => {
      events.add(1, { tier: 'store', type, outcome: results[index]?.outcome });
    });
    return { results };
  };
}

/** One transaction after the other, each with what has come meanwhile. */
function createTurns<Reply>(
  append: (replies: Reply[]) => Promise<AppendResult[]>,
): Batcher<Reply, AppendResult> {
  return createBatcher<Reply, AppendResult>({
    maxItems: MAX_REPLIES,
    maxBytes: 4 * MAX_BATCH_BYTES,
    maxInFlight: () => 1,
    maxQueued: MAX_QUEUED,
    maxQueuedBytes: 128 * MAX_BATCH_BYTES,
    maxWaitMs: MAX_WAIT_MS,
    send(replies) {
      batchSize.record(replies.length, { hop: 'store' });
      return append(replies);
    },
  });
}
