/**
 * `Idempotency-Key`: requests with the same key have one effect and one answer, at all instances that share a store.
 *
 * | a request whose key | gets |
 * |---|---|
 * | is new | what it leads to; it is not given up when its client goes, for a retry will ask |
 * | is that of a request under way, here or at another instance | the answer to that one, or 504 at its own deadline |
 * | is that of one answered within the window | the answer to that one, with `idempotency-replayed: true` |
 * | was used for another body or route | 422 `idempotency-key-reused` |
 *
 * Every answer is kept but those that prove that nothing ran, 503 `not-accepted`, 429 `rate-limited` and 404
 * `unroutable`: there a retry runs. A 504 `outcome-unknown` is kept like any other. Its event may have been handled or may still be, so to run it
 * again under the same key could make two effects; who wants that nevertheless sends the same event id under a new key.
 *
 * Keys belong to the API key they came with; where none is needed, to everybody: there clients must choose keys that
 * nobody guesses, such as random UUIDs.
 *
 * A batch is one request: its answer is kept as it is, also where some of its events were not accepted.
 *
 * What another instance has under way is looked for in the store until it is there. Should it turn out not to have run, whoever
 * waits is told 503, and comes again. An instance that dies leaves a claim without an answer: its event may have been handled, so that
 * is never run again. Where the claim says where the reply may be found, and it comes, that is the answer; otherwise 504, at once when
 * the deadline of the request has passed.
 */
import { AppError, toAppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import type { Logger } from 'pino';
import type { WaitingClient } from '../core/ask.ts';
import { assertSame, createFollow, unanswered } from './follow.ts';
import type { IdempotencyEntry, IdempotencyStore, KeptAnswer, ReplyLocation } from './idempotency-store.ts';
import { provesNothingRan, toKeep } from './kept-answer.ts';

/** A request that came with a key. */
export type KeyedRequest = {
  /** With what tells its caller from others, as the key of another caller is another key. */
  key: string;
  /** The same for two requests that are the same. */
  fingerprint: string;
  /** How long it waits for the answer to another. */
  waitMs: number;
  onGone: WaitingClient['onGone'];
  /** Called once it is known that it waits for another, and does not run. */
  onWaiting(): void;
  log: Pick<Logger, 'error'>;
};

/** The first request with a key, until it is answered. */
export type Run = {
  key: string;
  fingerprint: string;
  /** What the store has under the key; nothing: the key is claimed for this run. */
  kept: Promise<IdempotencyEntry | undefined>;
  hasClaim: boolean;
  /** Says where the reply to its event will be, should this instance die. Nothing waits for that. */
  locate(reply: ReplyLocation): void;
  /** Nothing: another instance is at it. */
  answer: Promise<KeptAnswer | undefined>;
  resolve(answer: KeptAnswer | undefined): void;
};

export type Idempotency = {
  /**
   * Begins a request. Where it is the first with its key there is a `run`, which is to be given the answer that the
   * request gets, whatever it is. `answer` is that to an earlier request; where it resolves with none, this one is to run.
   * It rejects with an AppError: `idempotency-key-reused`, `outcome-unknown`, `not-accepted` or `client-gone`.
   */
  begin(request: KeyedRequest): { run?: Run; answer: Promise<KeptAnswer | undefined> };
  /** Keeps the answer to a run; to be awaited before it goes out, so that a client that has it finds it again. */
  finish(run: Run, answer: KeptAnswer, log: Pick<Logger, 'error'>): Promise<void>;
};

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
  const follow = createFollow({ store, stopping });

  function start({ key, fingerprint, log }: KeyedRequest): Run {
    const { promise: answer, resolve } = Promise.withResolvers<KeptAnswer | undefined>();
    const entry = { fingerprint, dueMs: Date.now() + deadlineMs + KEPT_WITHIN_MS };
    const kept = claim(key, entry, log);
    const locate = (reply: ReplyLocation) => void amend(key, { ...entry, reply });
    const run: Run = { key, fingerprint, kept, hasClaim: false, locate, answer, resolve };
    running.set(key, run);
    return run;
  }

  function end(run: Run, answer: KeptAnswer | undefined): void {
    if (running.get(run.key) === run) running.delete(run.key);
    run.resolve(answer);
  }

  async function claim(
    key: string,
    entry: IdempotencyEntry,
    log: KeyedRequest['log'],
  ): Promise<IdempotencyEntry | undefined> {
    try {
      return await store.claim(key, entry);
    } catch (cause) {
      logUnlessAway(cause, log, 'the store of idempotency keys fails');
      throw new AppError('not-accepted', 'the store of idempotency keys does not answer', { cause });
    }
  }

  /** Never rejects: one that is not amended is as one of an instance that died a moment sooner. */
  async function amend(key: string, entry: IdempotencyEntry): Promise<void> {
    try {
      await store.amend(key, entry);
    } catch {}
  }

  /** Releases what is claimed when nobody waits for it any more. */
  async function giveUp({ key, kept }: Run): Promise<void> {
    if ((await kept) === undefined) await store.release(key);
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

  /** Does with the answer to a run what is to be done, and never rejects. */
  async function keep(
    { key, fingerprint }: Run,
    answer: KeptAnswer,
    log: KeyedRequest['log'],
  ): Promise<void> {
    try {
      if (provesNothingRan(answer)) await store.release(key);
      else await store.keep(key, { fingerprint, answer: toKeep(answer) });
    } catch (error) {
      logUnlessAway(error, log, 'an answer is not kept for its idempotency key');
    }
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
      if (run.hasClaim) await within(MAX_KEEP_MS, keep(run, answer, log));
      end(run, answer);
    },
  };
}

function notInTime(): AppError {
  return new AppError('not-accepted', 'the store of idempotency keys does not answer in time');
}

/** That no store answers is logged once, by whoever asks it. */
function logUnlessAway(error: unknown, log: KeyedRequest['log'], message: string): void {
  if (toAppError(error).code !== 'not-accepted') log.error({ err: error }, message);
}
