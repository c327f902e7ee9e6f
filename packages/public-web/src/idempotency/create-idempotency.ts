import { AppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import { assertSame, createFollow, unanswered } from './follow.ts';
import { createGuardedStore } from './guarded-store.ts';
import type { Idempotency, KeyedRequest, Run } from './idempotency.ts';
import type { IdempotencyEntry, IdempotencyStore, KeptAnswer, ReplyLocation } from './idempotency-store.ts';

/** How long after the deadline of its request an instance may take to keep the answer. */
const KEPT_WITHIN_MS = 5_000;
/** How long a request waits for its claim: it has not begun, and its deadline neither. */
const MAX_CLAIM_MS = 1_000;
/** How long an answer waits until it is kept. Then it goes out: whoever asks meanwhile finds the claim, and waits. */
const MAX_KEEP_MS = 200;

/** Creates the {@link Idempotency} of one instance. */
export function createIdempotency({
  store,
  deadlineMs,
  maxJoined,
  stopping = new AbortController().signal,
}: {
  store: IdempotencyStore;
  /** The longest that a request takes. */
  deadlineMs: number;
  /** Most requests that wait for the answer to another. */
  maxJoined: number;
  /** Aborts when this instance stops: nobody waits here any more for what another instance has under way. */
  stopping?: AbortSignal;
}): Idempotency {
  const running = new Map<string, Run>();
  let joined = 0;
  const guarded = createGuardedStore(store);
  const follow = createFollow({ store, stopping });

  function start({ key, fingerprint, log }: KeyedRequest): Run {
    const { promise: answer, resolve } = Promise.withResolvers<KeptAnswer | undefined>();
    const entry = { fingerprint, dueMs: Date.now() + deadlineMs + KEPT_WITHIN_MS };
    const kept = guarded.claim(key, entry, log);
    const locate = (reply: ReplyLocation) => void guarded.amend(key, { ...entry, reply });
    const run: Run = { key, fingerprint, kept, hasClaim: false, locate, answer, resolve };
    running.set(key, run);
    return run;
  }

  function end(run: Run, answer: KeptAnswer | undefined): void {
    if (running.get(run.key) === run) running.delete(run.key);
    run.resolve(answer);
  }

  /** Releases what is claimed when nobody waits for it any more. */
  async function giveUp({ key, kept }: Run): Promise<void> {
    if ((await kept) === undefined) await guarded.release(key);
  }

  /** What a request gets that is not the first with its key. */
  async function waiting<T>({ onWaiting }: KeyedRequest, wait: () => Promise<T>): Promise<T> {
    if (joined >= maxJoined)
      throw new AppError('outcome-unknown', 'too many requests wait for the answer to another');
    joined += 1;
    onWaiting();
    try {
      return await wait();
    } finally {
      joined -= 1;
    }
  }

  async function join(run: Run, request: KeyedRequest): Promise<KeptAnswer> {
    const { waitMs, onGone } = request;
    const untilMs = performance.now() + waitMs;
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    let isGone = false;
    onGone(() => {
      isGone = true;
      resolve();
    });
    const isInTime = await within(waitMs, Promise.race([run.answer, gone]));
    if (isGone) throw new AppError('client-gone', 'the client has gone');
    if (!isInTime) throw unanswered(waitMs);
    return (await run.answer) ?? (await follow({ ...request, waitMs: untilMs - performance.now() }));
  }

  /** What the store has for a request; the request of another instance that is under way is waited for. */
  async function answerIn(kept: IdempotencyEntry, request: KeyedRequest): Promise<KeptAnswer> {
    assertSame(kept.fingerprint, request.fingerprint);
    return kept.answer ?? (await waiting(request, () => follow(request)));
  }

  /** The answer in the store; none: the run has the key for itself. */
  async function answerFirst(run: Run, request: KeyedRequest): Promise<KeptAnswer | undefined> {
    const isInTime = await within(Math.min(request.waitMs, MAX_CLAIM_MS), run.kept);
    if (!isInTime) {
      giveUp(run).catch(() => {});
      throw notInTime();
    }
    const kept = await run.kept;
    run.hasClaim = kept === undefined;
    // Whoever has joined waits for itself, maybe longer than this one.
    if (kept && !kept.answer && kept.fingerprint === run.fingerprint) end(run, undefined);
    return kept && (await answerIn(kept, request));
  }

  /** Of two requests that differ the first need not be the key's: what the store has tells. */
  async function answerOther({ kept, fingerprint }: Run, request: KeyedRequest): Promise<KeptAnswer> {
    const isInTime = await waiting(request, () => within(Math.min(request.waitMs, MAX_CLAIM_MS), kept));
    if (!isInTime) throw notInTime();
    return answerIn((await kept) ?? { fingerprint }, request);
  }

  return {
    begin(request) {
      const { key, fingerprint } = request;
      const first = running.get(key);
      if (first?.fingerprint === fingerprint) return { answer: waiting(request, () => join(first, request)) };
      if (first) return { answer: answerOther(first, request) };
      const run = start(request);
      return { run, answer: answerFirst(run, request) };
    },
    async finish(run, answer, log) {
      if (run.hasClaim) await within(MAX_KEEP_MS, guarded.keep(run.key, { ...run, answer }, log));
      end(run, answer);
    },
  };
}

function notInTime(): AppError {
  return new AppError('not-accepted', 'the store of idempotency keys does not answer in time');
}
