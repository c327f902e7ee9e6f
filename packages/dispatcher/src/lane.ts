/**
 * A lane: replies of one size class on their way to one address, in batches of what waits, a few at a time.
 *
 * When a batch fails the lane counts as failing: its replies are turned away at once (the caller sets them aside in the
 * broker), but for one at a time that finds out whether the address answers again.
 */
import { createBatcher } from '@waybill/common/batch.ts';
import {
  HTTP_MAX_EVENTS,
  MAX_BATCH_BYTES,
  MAX_PARTIAL_BATCHES_IN_FLIGHT,
} from '@waybill/common/batch-limits.ts';
import type { EncodedEvent } from '@waybill/common/event/event-json.ts';
import type { DeliveryOutcome } from './deliverer.ts';

/** Replies waiting on one lane: a second's worth at full rate. More are set aside. */
const MAX_QUEUED = 4_096;
/**
 * Their bytes. A dispatcher takes 256 messages, which large replies for one slow address must not use up: these are 64
 * of the largest.
 */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;

/** What became of each reply of a batch, in order, and how the call ended, for the log. */
export type SentBatch = { outcomes: DeliveryOutcome[]; reason: string };

export type LaneOptions = {
  maxInFlight: number;
  /** Sends one batch. */
  send(replies: EncodedEvent[]): Promise<SentBatch>;
  /** Told of each batch why it failed, or nothing. */
  note(reason: string | undefined): void;
};

export type Lane = {
  /** Rejects with what nobody foresaw. */
  deliver(reply: EncodedEvent): Promise<DeliveryOutcome>;
  /** Whether nothing waits and nothing is under way. */
  isIdle(): boolean;
};

/** Creates a {@link Lane}. */
export function createLane({ maxInFlight, send, note }: LaneOptions): Lane {
  let isFailing = false;
  let isProbing = false;
  const batcher = createBatcher<EncodedEvent, DeliveryOutcome>({
    maxItems: HTTP_MAX_EVENTS,
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: () => maxInFlight,
    maxPartialInFlight: () => MAX_PARTIAL_BATCHES_IN_FLIGHT,
    maxQueued: MAX_QUEUED,
    maxQueuedBytes: MAX_QUEUED_BYTES,
    // What queued up before the address failed is turned away with the rest.
    send: async (replies) => (isFailing ? replies.map(() => 'failing') : attempt(replies)),
  });

  async function attempt(replies: EncodedEvent[]): Promise<DeliveryOutcome[]> {
    const { outcomes, reason } = await sendOrEach(replies);
    isFailing = outcomes.includes('failing');
    note(isFailing ? reason : undefined);
    return outcomes;
  }

  /** Which of several is refused shows when each goes alone. */
  async function sendOrEach(replies: EncodedEvent[]): Promise<SentBatch> {
    const sent = await send(replies);
    if (replies.length === 1 || !sent.outcomes.includes('refused')) return sent;
    const each = await Promise.all(replies.map((reply) => send([reply])));
    return { outcomes: each.flatMap(({ outcomes }) => outcomes), reason: each.at(-1)?.reason ?? '' };
  }

  /** One at a time. */
  async function probe(reply: EncodedEvent): Promise<DeliveryOutcome> {
    if (isProbing) return 'failing';
    isProbing = true;
    try {
      const [outcome = 'failing'] = await attempt([reply]);
      return outcome;
    } finally {
      isProbing = false;
    }
  }

  return {
    deliver: (reply) => (isFailing ? probe(reply) : batcher.add(reply, reply.bytes)),
    isIdle: () => batcher.isIdle() && !isProbing,
  };
}
