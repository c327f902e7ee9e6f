/** Fetches answers that nobody waited for, or not long enough. */
import { AppError } from '@waybill/common/errors.ts';
import type { Holder, ReadAnswer } from '@waybill/common/internal-call/store-calls.ts';
import { type Answer, toAnswer } from '../core/answer-event.ts';
import type { WaitingClient } from '../core/ask.ts';
import { createAwaitAnswer } from './await-answer.ts';
import type { RequestPlace } from './request-locations.ts';
import type { AskStore } from './store-client.ts';
import type { Watches } from './watches.ts';

/** How long after the deadline of its event a reply may be under way. */
const UNDER_WAY_MS = 5_000;
/** A push is not sent twice, so while anybody waits, the answer is looked for by itself: after 1, 2, 4, 5, 5 … s. */
const LOOK_AGAIN = { lookAgainMs: 1_000, maxLookAgainMs: 5_000 };

export type FetchAnswer = {
  /**
   * The answer to a request, which stays where it is; waited for at most `waitMs`, and undefined when it is still to come.
   *
   * @throws AppError `gone` when it was cancelled, `outcome-unknown` when none came by the deadline of the event,
   *   `not-accepted` when no store answers, or too many wait.
   */
  fetch(
    place: RequestPlace,
    options: { waitMs: number; onGone: WaitingClient['onGone'] },
  ): Promise<Answer | undefined>;
  /** Removes the answer, also one that is still to come. The event itself goes on, if it is under way. */
  cancel(place: RequestPlace): Promise<void>;
};

/** Creates {@link FetchAnswer}; at most `maxWaiting` wait at once. */
export function createFetchAnswer({
  askStore,
  watches,
  holder,
  maxWaiting,
  stopping,
}: {
  askStore: AskStore;
  watches: Watches;
  holder: Holder;
  maxWaiting: number;
  stopping: AbortSignal;
}): FetchAnswer {
  let waiting = 0;

  async function read({ id, dueMs, eventId }: RequestPlace, isWaiting: boolean): Promise<Answer | undefined> {
    const asWhom = isWaiting ? { holder } : {};
    const found = await askStore<ReadAnswer>({ call: 'read-answer', id, ...asWhom });
    if (found.state === 'answered') return toAnswer(found.event, eventId);
    if (found.state === 'cancelled') throw new AppError('gone', 'the request was cancelled');
    if (dueMs + UNDER_WAY_MS < Date.now())
      throw new AppError('outcome-unknown', 'no reply by the deadline of the event');
    return undefined;
  }

  const wait = createAwaitAnswer<RequestPlace, Answer>({
    read: (place) => read(place, true),
    watch: watches.watch,
    ...LOOK_AGAIN,
    stopping,
  });

  return {
    async fetch(place, { waitMs, onGone }) {
      if (waitMs === 0 || stopping.aborted) return read(place, false);
      if (waiting >= maxWaiting) throw new AppError('not-accepted', 'too many wait for an answer');
      waiting += 1;
      try {
        return await wait(place, { waitMs, onGone });
      } finally {
        waiting -= 1;
      }
    },
    async cancel({ id }) {
      await askStore({ call: 'cancel-answer', id });
    },
  };
}
