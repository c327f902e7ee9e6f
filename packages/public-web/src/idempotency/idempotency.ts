/**
 * `Idempotency-Key`: requests with the same key have one effect and one answer, within one public-web.
 *
 * | a request whose key | gets |
 * |---|---|
 * | is new | what it leads to; it is not given up when its client goes, for a retry will ask |
 * | is that of a request under way | the answer to that one, or 504 at its own deadline |
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
 * With a store that is shared, a key that another instance is at is answered 504 `outcome-unknown`, to be tried again.
 */
import { AppError } from '@waybill/common/errors.ts';
import { problemFor } from '@waybill/common/problem.ts';
import { within } from '@waybill/common/within.ts';
import type { Logger } from 'pino';
import type { WaitingClient } from '../core/ask.ts';
import type { IdempotencyEntry, IdempotencyStore, KeptAnswer } from './idempotency-store.ts';

/** A request that came with a key. */
export type KeyedRequest = {
  /** With what tells its caller from others, as the key of another caller is another key. */
  key: string;
  /** The same for two requests that are the same. */
  fingerprint: string;
  /** How long it waits for the answer to another. */
  waitMs: number;
  onGone: WaitingClient['onGone'];
  log: Pick<Logger, 'error'>;
};

/** The first request with a key, until it is answered. */
export type Run = {
  key: string;
  fingerprint: string;
  /** What the store has under the key; nothing: the key is claimed for this run. */
  kept: Promise<IdempotencyEntry | undefined>;
  hasClaim: boolean;
  answer: Promise<KeptAnswer>;
  resolve(answer: KeptAnswer): void;
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

/** Room for a batch of ordinary replies, and 64 of them in the store. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** By status. A listener's own problem may have the first of these statuses, but none of these codes. */
const NOTHING_RAN: ReadonlyMap<number, string> = new Map([
  [404, 'unroutable'],
  [429, 'rate-limited'],
  [503, 'not-accepted'],
]);

/** Creates the {@link Idempotency} of one instance. */
export function createIdempotency({
  store,
  maxJoined,
}: {
  store: IdempotencyStore;
  /** Most requests that wait for the answer to another. */
  maxJoined: number;
}): Idempotency {
  const running = new Map<string, Run>();
  let joined = 0;

  function start({ key, fingerprint, log }: KeyedRequest): Run {
    const { promise: answer, resolve } = Promise.withResolvers<KeptAnswer>();
    const run: Run = {
      key,
      fingerprint,
      kept: claim(key, { fingerprint }, log),
      hasClaim: false,
      answer,
      resolve,
    };
    running.set(key, run);
    return run;
  }

  async function claim(
    key: string,
    entry: IdempotencyEntry,
    log: KeyedRequest['log'],
  ): Promise<IdempotencyEntry | undefined> {
    try {
      return await store.claim(key, entry);
    } catch (cause) {
      log.error({ err: cause }, 'the store of idempotency keys does not answer');
      throw new AppError('not-accepted', 'the store of idempotency keys does not answer', { cause });
    }
  }

  async function join(run: Run, { waitMs, onGone }: KeyedRequest): Promise<KeptAnswer> {
    if (joined >= maxJoined)
      throw new AppError('outcome-unknown', 'too many requests wait for the answer to another');
    joined += 1;
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    let isGone = false;
    onGone(() => {
      isGone = true;
      resolve();
    });
    try {
      const isInTime = await within(waitMs, Promise.race([run.answer, gone]));
      if (isGone) throw new AppError('client-gone', 'the client has gone');
      if (isInTime) return await run.answer;
    } finally {
      joined -= 1;
    }
    throw new AppError('outcome-unknown', `no answer to the first request within ${waitMs} ms`);
  }

  return {
    begin(request) {
      const { key, fingerprint } = request;
      const first = running.get(key);
      if (first?.fingerprint === fingerprint) return { answer: join(first, request) };
      if (first) return { answer: answerOther(first, fingerprint) };
      const run = start(request);
      return { run, answer: answerKept(run) };
    },
    async finish(run, answer, log) {
      try {
        if (run.hasClaim && provesNothingRan(answer)) await store.release(run.key);
        else if (run.hasClaim)
          await store.keep(run.key, { fingerprint: run.fingerprint, answer: toKeep(answer) });
      } catch (error) {
        log.error({ err: error }, 'an answer is not kept for its idempotency key');
      } finally {
        running.delete(run.key);
        run.resolve(answer);
      }
    },
  };
}

/** The answer in the store; none: the run has the key for itself. */
async function answerKept(run: Run): Promise<KeptAnswer | undefined> {
  const kept = await run.kept;
  run.hasClaim = kept === undefined;
  return kept && answerIn(kept, run.fingerprint);
}

/** Of two requests that differ the first need not be the key's: what the store has tells. */
async function answerOther(first: Run, fingerprint: string): Promise<KeptAnswer> {
  return answerIn((await first.kept) ?? { fingerprint: first.fingerprint }, fingerprint);
}

function answerIn({ fingerprint, answer }: IdempotencyEntry, expected: string): KeptAnswer {
  assertSame(fingerprint, expected);
  if (!answer)
    throw new AppError('outcome-unknown', 'another instance is at a request with this idempotency key');
  return answer;
}

function assertSame(fingerprint: string, expected: string): void {
  if (fingerprint !== expected)
    throw new AppError('idempotency-key-reused', 'the same Idempotency-Key came with another body or route');
}

function provesNothingRan({ status, body }: KeptAnswer): boolean {
  const code = NOTHING_RAN.get(status);
  return code !== undefined && JSON.parse(String(body)).code === code;
}

/** One effect is promised even where its answer is too large to give again. */
function toKeep(answer: KeptAnswer): KeptAnswer {
  if (Buffer.byteLength(answer.body) <= MAX_ANSWER_BYTES) return answer;
  const problem = problemFor('outcome-unknown', 'it was answered, but the answer was too large to be kept');
  const headers = { 'content-type': 'application/problem+json' };
  return { status: problem.status, headers, body: JSON.stringify(problem) };
}
