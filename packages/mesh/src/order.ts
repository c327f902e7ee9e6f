/** In which order neighbours are asked that share the namespace of a call. */
import { LRUCache } from 'lru-cache';
import { methodKey, type ServeRequest } from './messages.ts';
import type { Neighbour } from './neighbour.ts';

/** For how long it is remembered what a neighbour said to a method. It decides who is asked first, and never who is asked. */
const MEMORY_MS = 60_000;
const MAX_REMEMBERED = 1_000;
/**
 * Calls in flight that one which is known to serve a method may have more than one which may not serve it: that one could have
 * frozen a moment ago, and a call that it has nothing to do with would wait for it.
 */
const PREFERRED = 10;

export type Order = {
  /**
   * Last come those that did not answer their last health check, or did not serve the method lately; of the others the one
   * with the fewest calls in flight is first, where those that did serve it may have {@link PREFERRED} more, and of equals that which
   * was first longest ago. So calls are spread over all that serve a method, and one that is known to be served is not tried
   * where it may not be without need.
   */
  sort(neighbours: Neighbour[], request: ServeRequest): Neighbour[];
  /** Notes whether a neighbour, or whoever it asked, serves the method. */
  note(neighbour: Neighbour, request: ServeRequest, isServed: boolean): void;
};

/** Creates the {@link Order} of one site. */
export function createOrder(): Order {
  const served = new LRUCache<string, boolean>({
    max: MAX_REMEMBERED,
    ttl: MEMORY_MS,
    // The clock is looked at once a second, and not with each call.
    ttlResolution: 1_000,
  });
  const lastFirst = new WeakMap<Neighbour, number>();
  let turn = 0;

  function rank(neighbour: Neighbour, request: ServeRequest): Ranked {
    const isServed = served.get(keyOf(neighbour, request));
    return {
      neighbour,
      ranks: [
        Number(neighbour.isSilent() || isServed === false),
        neighbour.inFlight() + (isServed ? 0 : PREFERRED),
        lastFirst.get(neighbour) ?? 0,
      ],
    };
  }

  return {
    sort(neighbours, request) {
      const ranked = neighbours.map((neighbour) => rank(neighbour, request)).sort(compare);
      turn += 1;
      if (ranked[0]) lastFirst.set(ranked[0].neighbour, turn);
      return ranked.map(({ neighbour }) => neighbour);
    },
    note: (neighbour, request, isServed) => void served.set(keyOf(neighbour, request), isServed),
  };
}

type Ranked = { neighbour: Neighbour; ranks: number[] };

function compare(a: Ranked, b: Ranked): number {
  const differing = a.ranks.findIndex((rank, index) => rank !== b.ranks[index]);
  return (a.ranks[differing] ?? 0) - (b.ranks[differing] ?? 0);
}

function keyOf({ address }: Neighbour, request: ServeRequest): string {
  return `${address} ${methodKey(request)}`;
}
