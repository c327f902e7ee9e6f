import type { Message, Outgoing } from './link.ts';
import { type Problem, problemOf } from './request-failed.ts';
import { toFailure } from './to-failure.ts';

/** One request over a connection, until it has its answer. */
export type PendingRequest = Outgoing & {
  /** Resolves with the reply. @throws RequestFailed; the reason of the signal */
  answer: Promise<Message>;
  /** Whether it was sent, and may have been taken. */
  isSent: boolean;
  /** Whether it may have run, though it is to be sent again. */
  mayHaveRun: boolean;
  /** Whether public-web is known to have it. */
  isTaken: boolean;
  resolve(reply: Message): void;
  fail(problem: Problem, cause?: unknown): void;
  /** Fails with what is known of it now. */
  giveUp(why: string, cause?: unknown): void;
};

export type RequestTimes = { timeoutMs: number; signal?: AbortSignal | undefined };

/** Creates one; `onOver` is called once, before its promise settles. @throws TypeError when the event is none in JSON */
export function createPendingRequest(
  event: Outgoing['event'],
  { key, timeoutMs, signal, onOver }: RequestTimes & { key: string; onOver(): void },
): PendingRequest {
  const text = JSON.stringify(event);
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  let isOver = false;

  function end(settle: () => void): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    onOver();
    settle();
  }
  const abort = () => end(() => reject(signal?.reason));
  const request: PendingRequest = {
    event,
    text,
    key,
    answer: promise,
    isSent: false,
    mayHaveRun: false,
    isTaken: false,
    isWanted: () => !isOver,
    onTaken() {
      request.isTaken = true;
    },
    resolve: (reply) => end(() => resolve(reply)),
    fail(problem, cause) {
      const { mayHaveRun } = request;
      end(() => reject(toFailure({ problem, cause }, { id: event.id, mayHaveRun })));
    },
    giveUp(why, cause) {
      const [code, status] = request.isSent
        ? (['outcome-unknown', 504] as const)
        : (['not-accepted', 503] as const);
      request.fail(problemOf(code, status, why), cause);
    },
  };
  const timer = setTimeout(() => request.giveUp(`no answer within ${timeoutMs} ms`), timeoutMs);
  if (signal?.aborted) queueMicrotask(abort);
  else signal?.addEventListener('abort', abort);
  return request;
}
