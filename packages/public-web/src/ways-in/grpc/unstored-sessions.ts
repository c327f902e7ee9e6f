/**
 * Sessions of clients where there is no store: what a client is told it is told as long as it is connected, in the order in
 * which it has asked, and whatever comes later is dropped.
 */
import { setTimeout } from 'node:timers/promises';
import type { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { Caller } from '../../admission/admission.ts';
import { type AnswerEvent, type Requester, toReplyEvent } from '../../core/answer-event.ts';
import { createRoom } from './room.ts';

/** Most events of a client whose answers have not been written, as many as a WebSocket may have. */
const MAX_UNANSWERED = 256;
/** About how large an event is. */
const EVENT_BYTES = 512;

export type Entry = { token: string; event: CloudEvent; requestId: string | undefined };

export type Sink = { take(entry: Entry, written: () => void): void };

export type Session = {
  send(
    event: CloudEvent,
    requester: { caller: Pick<Caller, 'assertMaySend' | 'countEvent'>; log: Requester['log'] },
  ): Promise<void>;
  answered(): Promise<void>;
  close(): Promise<void>;
};

export type UnstoredSessionsOptions = {
  answerEvent: AnswerEvent;
  /** How long an event waits for its answer at most. */
  deadlineMs: number;
  /** Events of all clients that are under way at once; whoever sends more waits. */
  maxUnderWay: number;
};

/** Creates what attaches a client to a session. */
export function createUnstoredSessions({ answerEvent, deadlineMs, maxUnderWay }: UnstoredSessionsOptions) {
  const room = createRoom(maxUnderWay);

  return (sink: Sink): Session => {
    const own = createRoom(MAX_UNANSWERED);
    const waiting = new Set<() => void>();
    const gone = new AbortController();
    let told = Promise.resolve();

    async function answer(event: CloudEvent, requester: Parameters<Session['send']>[1]): Promise<Entry> {
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
      const answer = await answerEvent(event, { ...requester, client, deadlineMs, bytes: EVENT_BYTES });
      waiting.delete(giveUp);
      room.leave();
      return { token: '', event: toReplyEvent(answer), requestId: event.id };
    }

    return {
      async send(event, requester) {
        await own.enter();
        await hasRate(requester.caller, gone.signal);
        await room.enter();
        if (gone.signal.aborted) return room.leave();
        const answered = answer(event, requester);
        told = told.then(async () => sink.take(await answered, own.leave));
      },
      answered: () => told,
      async close() {
        gone.abort();
        for (const giveUp of waiting) giveUp();
      },
    };
  };
}

/** Waits for the turn of a caller, unless it has gone. */
async function hasRate({ countEvent }: Pick<Caller, 'countEvent'>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted)
    try {
      return countEvent();
    } catch (error) {
      const { retryAfterMs = 1_000 } = error as AppError;
      await setTimeout(retryAfterMs, undefined, { ref: false, signal }).catch(() => {});
    }
}
