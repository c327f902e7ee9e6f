/**
 * Sessions of clients where there is no store: what a client is told it is told as long as it is connected, in the order in
 * which it has asked, and whatever comes later is dropped.
 */
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { type AnswerEvent, toReplyEvent } from '../core/answer-event.ts';
import { createRoom } from './room.ts';
import type { Entry, Requester, Sessions } from './sessions.ts';
import { waitForRate } from './wait-for-rate.ts';

/** Most events of a client whose answers have not been written, as many as of one with a store. */
const MAX_UNANSWERED = 256;
/** About how large an event is. */
const EVENT_BYTES = 512;

/** Creates what attaches clients; an event waits for its answer for `deadlineMs` at most. */
export function createUnstoredSessions({
  answerEvent,
  deadlineMs,
}: {
  answerEvent: AnswerEvent;
  deadlineMs: number;
}): Pick<Sessions, 'attach'> {
  return {
    async attach({ sink, room }) {
      const own = createRoom(MAX_UNANSWERED);
      const waiting = new Set<() => void>();
      const gone = new AbortController();
      let told = Promise.resolve();

      async function answer(event: CloudEvent, requester: Requester): Promise<Entry> {
        let giveUp = () => {};
        const client = {
          onGone(fn: () => void) {
            giveUp = fn;
            if (gone.signal.aborted) fn();
            else waiting.add(fn);
          },
          // A large reply is dropped for its result at once.
          hold: () => true,
        };
        const answer = await answerEvent(event, {
          ...requester,
          client,
          deadlineMs,
          bytes: EVENT_BYTES,
          series: gone,
        });
        waiting.delete(giveUp);
        room?.leave();
        const { id, traceparent } = event;
        return { token: '', event: toReplyEvent(answer), requestId: id, traceparent };
      }

      return {
        token: '',
        backlog: 0,
        recovered: false,
        async send(event, requester) {
          await own.enter();
          await waitForRate(requester, () => gone.signal.aborted);
          await room?.enter();
          if (gone.signal.aborted) return room?.leave();
          const answered = answer(event, requester);
          told = told.then(async () => sink.take(await answered, own.leave));
        },
        acknowledge() {},
        answered: () => told.then(() => !gone.signal.aborted),
        isOver: () => gone.signal.aborted,
        async close() {
          gone.abort();
          for (const giveUp of waiting) giveUp();
        },
      };
    },
  };
}
