/**
 * How many attempts at the events of a partition have failed in this process. A message that is given back comes again as it
 * was, and what it went through is written down nowhere else: without this its attempts would begin anew each time, and a
 * handler that fails for longer than a message may be held would never have its last one.
 */
import type { Delivery } from '@waybill/common/broker/ports.ts';
import { LRUCache } from 'lru-cache';
import { failedAttemptsOf } from './headers.ts';

/** More than all partitions have in hand: 8 × 16 messages of 64 events. A hundred bytes each. */
const MAX_EVENTS = 10_000;

export type FailedAttempts = {
  /** Of the event at `index` of the message: here, or before it came here. */
  of(delivery: Delivery, index: number): number;
  /** Remembers a count, for a message that has an id; all of ours do. */
  set(delivery: Delivery, index: number, count: number): void;
};

/** Creates the {@link FailedAttempts} of one process. */
export function createFailedAttempts(): FailedAttempts {
  const counts = new LRUCache<string, number>({ max: MAX_EVENTS });
  const keyOf = ({ messageId }: Delivery, index: number) => `${messageId} ${index}`;
  return {
    of: (delivery, index) => counts.get(keyOf(delivery, index)) ?? failedAttemptsOf(delivery),
    set(delivery, index, count) {
      if (delivery.messageId) counts.set(keyOf(delivery, index), count);
    },
  };
}
