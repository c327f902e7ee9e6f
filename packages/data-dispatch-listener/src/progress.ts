/**
 * Remembers how far streams have come, in this process: an event whose ack was lost comes again, and a second chain of
 * continuations would send the rest twice.
 */
import { LRUCache } from 'lru-cache';
import type { AroundTurns } from './turn.ts';

const MAX_STREAMS = 20_000;
/** Longer than a lost ack takes to come back. */
const TTL_MS = 10 * 60_000;

/** Creates what ends turns at a position that is known to be done: behind which a continuation was confirmed. */
export function createProgress(): AroundTurns {
  /** Where a continuation is in the broker for; infinity where the stream is over. */
  const reached = new LRUCache<string, number>({ max: MAX_STREAMS, ttl: TTL_MS });
  return (next) => async (turn) => {
    const { id, nextIndex } = turn.stream;
    if (nextIndex < (reached.get(id) ?? 0)) {
      turn.handling.log.info({ stream_id: id }, 'chunk is done already');
      return {};
    }
    const outcome = await next(turn);
    const onConfirmed = () => {
      outcome.onConfirmed?.();
      const index = outcome.next?.nextIndex ?? Number.POSITIVE_INFINITY;
      reached.set(id, Math.max(index, reached.get(id) ?? 0));
    };
    return { ...outcome, onConfirmed };
  };
}
