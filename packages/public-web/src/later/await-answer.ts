/** Waits for answers: one look at the store serves all that wait for the same one at this instance. */
import { within } from '@waybill/common/within.ts';
import type { WaitingClient } from '../core/ask.ts';
import { onOver } from '../core/on-over.ts';
import type { Watches } from './watches.ts';

/** Resolves with the answer, or undefined after `waitMs`, when its client has gone, or this instance stops; rejects as a look for it does. */
export type AwaitAnswer<Place, Answer> = (
  place: Place,
  options: { waitMs: number; onGone: WaitingClient['onGone'] },
) => Promise<Answer | undefined>;

/** What all share that wait for one answer. */
type Search<Answer> = { answer: Promise<Answer | undefined>; look(): void; stop(): void; waiting: number };

/** Creates {@link AwaitAnswer}. */
export function createAwaitAnswer<Place extends { id: string }, Answer>({
  read,
  watch = () => () => {},
  lookAgainMs,
  maxLookAgainMs,
  stopping,
}: {
  /** Looks for an answer once. */
  read(place: Place): Promise<Answer | undefined>;
  /** Has `look` called when an answer may be there. Default: nobody tells. */
  watch?: (id: string, look: () => void) => ReturnType<Watches['watch']>;
  /** After how long it is looked for again while anybody waits; twice as long each time, */
  lookAgainMs: number;
  /** up to this. */
  maxLookAgainMs: number;
  stopping: AbortSignal;
}): AwaitAnswer<Place, Answer> {
  const searches = new Map<string, Search<Answer>>();

  function begin(place: Place): Search<Answer> {
    let woken = Promise.withResolvers<void>();
    let isOver = false;
    const look = () => woken.resolve();
    const stopWatching = watch(place.id, look);

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
        for (let againMs = lookAgainMs; !isOver; againMs = Math.min(2 * againMs, maxLookAgainMs)) {
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
  function join(place: Place): Search<Answer> {
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
