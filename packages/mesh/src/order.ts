/** In which order neighbours are asked that share the namespace of a call. */
import { LRUCache } from 'lru-cache';
import { methodName, type ServeRequest } from './messages.ts';
import type { Neighbour } from './neighbour.ts';

/** For how long one that does not serve a method is asked for it last. */
const MISS_MS = 5_000;
const MAX_MISSES = 1_000;

export type Order = {
  /**
   * Those that did not say lately that they do not serve the method before those that did; of these the one with the fewest calls
   * in flight first, and of equals the one that was first longest ago.
   */
  sort(neighbours: Neighbour[], request: ServeRequest): Neighbour[];
  /** Notes that a neighbour, and whoever it asked, does not serve the method. */
  noteMiss(neighbour: Neighbour, request: ServeRequest): void;
};

/** Creates the {@link Order} of one site. */
export function createOrder(): Order {
  const misses = new LRUCache<string, true>({ max: MAX_MISSES, ttl: MISS_MS });
  const lastFirst = new WeakMap<Neighbour, number>();
  let turn = 0;

  return {
    sort(neighbours, request) {
      const ranked = neighbours.map((neighbour) => ({
        neighbour,
        isMissing: misses.has(keyOf(neighbour, request)),
        inFlight: neighbour.inFlight(),
        turn: lastFirst.get(neighbour) ?? 0,
      }));
      ranked.sort(
        (a, b) => Number(a.isMissing) - Number(b.isMissing) || a.inFlight - b.inFlight || a.turn - b.turn,
      );
      const [first] = ranked;
      turn += 1;
      if (first) lastFirst.set(first.neighbour, turn);
      return ranked.map(({ neighbour }) => neighbour);
    },
    noteMiss: (neighbour, request) => void misses.set(keyOf(neighbour, request), true),
  };
}

function keyOf({ address }: Neighbour, request: ServeRequest): string {
  return `${address} ${request.namespace} ${methodName(request)}`;
}
