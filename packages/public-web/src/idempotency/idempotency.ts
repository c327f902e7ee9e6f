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
 * Every answer is kept but those that prove that nothing ran, 503 `not-accepted`, 429 `rate-limited`, `mailbox-full` and
 * `keys-full`, and 404 `unroutable`: there a retry runs. A 504 `outcome-unknown` is kept like any other. Its event may have been handled or may still be, so to run it
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
import type { Logger } from 'pino';
import type { WaitingClient } from '../core/ask.ts';
import type { IdempotencyEntry, KeptAnswer, ReplyLocation } from './idempotency-store.ts';

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
   * It rejects with an AppError: `idempotency-key-reused`, `outcome-unknown`, `keys-full`, `not-accepted` or `client-gone`.
   */
  begin(request: KeyedRequest): { run?: Run; answer: Promise<KeptAnswer | undefined> };
  /** Keeps the answer to a run; to be awaited before it goes out, so that a client that has it finds it again. */
  finish(run: Run, answer: KeptAnswer, log: Pick<Logger, 'error'>): Promise<void>;
};
