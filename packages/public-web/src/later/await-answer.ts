/** Waits for answers: one look at the store serves all that wait for the same one at this instance. */
import { within } from '@waybill/common/within.ts';
import type { Answer } from '../core/answer-event.ts';
import type { WaitingClient } from '../core/ask.ts';
import { onOver } from '../core/on-over.ts';
import type { RequestPlace } from './request-locations.ts';
import type { Watches } from './watches.ts';

/** A push is not sent twice, so while anybody waits, what looks for the answer looks again by itself: after 1, 2, 4, 5, 5 … s. */
const LOOK_AGAIN_MS = 1_000;
const MAX_LOOK_AGAIN_MS = 5_000;

/** Resolves with the answer, or undefined after `waitMs`, when its client has gone, or this instance stops; rejects as a look for it does. */
export type AwaitAnswer = (
  place: RequestPlace,
  options: { waitMs: number; onGone: WaitingClient['onGone'] },
) => Promise<Answer | undefined>;

/** What all share that wait for one answer. */
type Search = { answer: Promise<Answer | undefined>; look(): void; stop(): void; waiting: number };

/** Creates {@link AwaitAnswer}; `read` looks for an answer once. */
export function createAwaitAnswer({
  read,
  watches,
  stopping,
}: {
  read(place: RequestPlace): Promise<Answer | undefined>;
  watches: Pick<Watches, 'watch'>;
  stopping: AbortSignal;
}): AwaitAnswer {
  const searches = new Map<string, Search>();

  function begin(place: RequestPlace): Search {
    let woken = Promise.withResolvers<void>();
    let isOver = false;
    const look = () => woken.resolve();
    const stopWatching = watches.watch(place.id, look);

    /** At once: whoever comes next begins another. */
    function end(): void {
      if (isOver) return;
      isOver = true;
      searches.delete(place.id);
      stopWatching();
      look();
    }

    async function run(): Promise<Answer | undefined> {
      try {
        for (let againMs = LOOK_AGAIN_MS; !isOver; againMs = Math.min(2 * againMs, MAX_LOOK_AGAIN_MS)) {
          const answer = await read(place);
          if (answer) return answer;
          await within(againMs, woken.promise);
          woken = Promise.withResolvers();
        }
        return undefined;
      } finally {
        end();
      }
    }

    const search = { answer: run(), look, stop: end, waiting: 0 };
    searches.set(place.id, search);
    return search;
  }

  /** Whoever joins has the store looked at once more: it may have the answer by now. */
  function join(place: RequestPlace): Search {
    const found = searches.get(place.id);
    found?.look();
    const search = found ?? begin(place);
    search.waiting += 1;
    return search;
  }

  return async (place, { waitMs, onGone }) => {
    const { promise: gone, resolve } = Promise.withResolvers<undefined>();
    const release = onOver(onGone, stopping, () => resolve(undefined));
    const search = join(place);
    try {
      const ended = Promise.race([search.answer, gone]);
      return (await within(waitMs, ended)) ? await ended : undefined;
    } finally {
      release();
      search.waiting -= 1;
      if (search.waiting === 0) search.stop();
    }
  };
}
