/**
 * Has a second copy of an event, which a lost confirm leaves behind, wait until what the first one led to is confirmed: it
 * can be told then whether anything is left to do.
 */
import { LRUCache } from 'lru-cache';
import type { AroundTurns } from './turn.ts';

/** Events that are remembered at most. */
const MAX_EVENTS = 20_000;
/** Longer than the continuation of a turn takes to be confirmed, unless something is wrong. */
const HAND_OVER_MS = 2_000;

/** Creates what keeps copies of one event apart. A copy waits for at most 2 s after the one before it has ended. */
export function createOneAtATime(): AroundTurns {
  const underWay = new LRUCache<string, Promise<void>>({ max: MAX_EVENTS });
  return (next) => async (turn) => {
    const before = underWay.get(turn.eventId);
    const { promise: done, resolve: onDone } = Promise.withResolvers<void>();
    underWay.set(turn.eventId, done);
    await before;
    try {
      const outcome = await next(turn);
      const onConfirmed = () => {
        outcome.onConfirmed?.();
        onDone();
      };
      setTimeout(onDone, HAND_OVER_MS).unref();
      return { ...outcome, onConfirmed };
    } catch (error) {
      onDone();
      throw error;
    }
  };
}
