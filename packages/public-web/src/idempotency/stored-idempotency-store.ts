/**
 * Idempotency keys in the store tier, so that a key means the same on every instance.
 *
 * A claim of which no store has told may have been made all the same. So each has an id, by which one that is for nobody is
 * released. That, and an answer that could not be kept, is told to the store again.
 *
 * A claim whose instance has died has no answer; but the reply to its event may be in the store, and then that is its answer.
 */
import { createHash, randomUUID } from 'node:crypto';
import { backOff } from '@waybill/common/back-off.ts';
import { createBatcher } from '@waybill/common/batch.ts';
import {
  HTTP_MAX_EVENTS,
  MAX_BATCH_BYTES,
  MAX_BATCHES_IN_FLIGHT,
  MAX_PARTIAL_BATCHES_IN_FLIGHT,
} from '@waybill/common/batch-limits.ts';
import { AppError, toAppError } from '@waybill/common/errors.ts';
import type { KeyResult, KeyStep, ReadAnswer } from '@waybill/common/internal-call/store-calls.ts';
import type { AskStore } from '../later/store-client.ts';
import type { IdempotencyEntry, IdempotencyStore } from './idempotency-store.ts';
import { answerAt } from './kept-answer.ts';

/** Steps that wait for their turn, and how long: a request waits no longer for its claim. */
const MAX_QUEUED = 10_000;
const MAX_WAIT_MS = 1_000;
/** How long what is large waits for its turn to be read, which takes some 20 ms of both ends. */
const MAX_LARGE_WAIT_MS = 5_000;
/** What is told again, and its bytes; beyond, claims stay for the window, without their answers. */
const MAX_UNHEARD = 1_000;
const MAX_UNHEARD_BYTES = 16 * 1024 * 1024;
/** In half a minute at the most: a store that starts anew is back by then. */
const MAX_TRIES = 12;
const AGAIN = { baseMs: 250, capMs: 5_000 };

/** Creates an {@link IdempotencyStore} in the store tier. */
export function createStoredIdempotencyStore({
  askStore,
  windowMs: keepMs,
}: {
  askStore: AskStore;
  /** How long an answer is kept. */
  windowMs: number;
}): IdempotencyStore {
  /** Of the requests of this instance that have claimed a key. */
  const claims = new Map<string, string>();
  const take = createTakeStep(askStore);
  const readLarge = createReadLarge(askStore);
  const tell = createTell(take);

  /** What is kept, which a step has told, or only that it is large. */
  async function toKept(id: string, told: KeyResult): Promise<IdempotencyEntry | undefined> {
    const { value } = assertTaken(told.isLarge ? await readLarge(id) : told);
    return value === undefined ? undefined : await withReply(toEntry(value));
  }

  async function withReply(entry: IdempotencyEntry): Promise<IdempotencyEntry> {
    if (entry.answer || !entry.reply) return entry;
    const { id, location } = entry.reply;
    const { state } = await askStore<ReadAnswer>({ call: 'read-answer', id });
    return state === 'answered' ? { ...entry, answer: answerAt(location) } : entry;
  }

  return {
    async claim(key, entry) {
      const claim = randomUUID();
      const claimed = { key: idOf(key), claim };
      const told = await take({ step: 'claim', ...claimed, value: toText(entry), keepMs });
      if (told.failure) {
        if (isWorthAnother(told.failure)) void tell({ step: 'release', ...claimed }).catch(() => {});
        throw told.failure;
      }
      const kept = await toKept(claimed.key, told);
      if (told.isLarge && !kept) throw new AppError('not-accepted', 'the key is being given up');
      if (!kept) claims.set(key, claim);
      return kept;
    },
    async read(key) {
      const id = idOf(key);
      return toKept(id, assertTaken(await take({ step: 'read', key: id })));
    },
    async amend(key, entry) {
      const claim = claims.get(key);
      if (claim === undefined) return;
      assertTaken(await take({ step: 'amend', key: idOf(key), claim, value: toText(entry) }));
    },
    async keep(key, entry) {
      claims.delete(key);
      await tell({ step: 'keep', key: idOf(key), value: toText(entry), keepMs });
    },
    async release(key) {
      const claim = claims.get(key);
      claims.delete(key);
      if (claim !== undefined) await tell({ step: 'release', key: idOf(key), claim });
    },
  };
}

/** `failure`: it was sent, and may be done or not. */
type TakenStep = KeyResult & { failure?: AppError };

/** Has a store take a step. It throws `not-accepted` for one that was not sent. */
type TakeStep = (step: KeyStep) => Promise<TakenStep>;

/** Creates what takes a step, and those that come meanwhile together with it. */
function createTakeStep(
  askStore: AskStore,
  { maxItems = HTTP_MAX_EVENTS, maxWaitMs = MAX_WAIT_MS } = {},
): TakeStep {
  const batcher = createBatcher<KeyStep, TakenStep>({
    maxItems,
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: () => MAX_BATCHES_IN_FLIGHT,
    maxPartialInFlight: () => MAX_PARTIAL_BATCHES_IN_FLIGHT,
    maxQueued: MAX_QUEUED,
    maxWaitMs,
    async send(steps) {
      try {
        return (await askStore<{ results: KeyResult[] }>({ call: 'keys', steps })).results;
      } catch (error) {
        return steps.map(() => ({ failure: toAppError(error) }));
      }
    },
  });
  return async (step) => {
    const taken = (await batcher.add(step, bytesOf(step))) ?? { isFailed: true };
    return taken.isFailed ? { failure: failureOf(taken) } : taken;
  };
}

function failureOf({ code }: KeyResult): AppError {
  return new AppError(code ?? 'not-accepted', 'the store has not taken it');
}

/** @throws AppError why a step may not be done. */
function assertTaken(taken: TakenStep): KeyResult {
  if (taken.failure) throw taken.failure;
  return taken;
}

/** Creates what reads a value that a store tells to nobody but a call of its own; few are under way at once, as each may be a MiB. */
function createReadLarge(askStore: AskStore) {
  const take = createTakeStep(askStore, { maxItems: 1, maxWaitMs: MAX_LARGE_WAIT_MS });
  return (key: string): Promise<TakenStep> => take({ step: 'read', key });
}

/**
 * Creates what tells a store something: it resolves or rejects with the first try, and goes on trying in the background, as far
 * as the bounds allow.
 */
function createTell(take: TakeStep) {
  let unheard = 0;
  let unheardBytes = 0;

  async function tell(step: KeyStep): Promise<void> {
    try {
      assertTaken(await take(step));
    } catch (error) {
      if (isWorthAnother(error)) void tellAgain(step);
      throw error;
    }
  }

  /** Counts a step until it is heard, also while it is being told. */
  async function tellAgain(step: KeyStep): Promise<void> {
    const bytes = bytesOf(step);
    if (unheard >= MAX_UNHEARD || unheardBytes + bytes > MAX_UNHEARD_BYTES) return;
    unheard += 1;
    unheardBytes += bytes;
    for (let tries = 1; tries < MAX_TRIES; tries += 1) {
      await backOff(tries, AGAIN);
      if (await isOver(step)) break;
    }
    unheard -= 1;
    unheardBytes -= bytes;
  }

  /** Whether a step is taken, or refused for good. */
  async function isOver(step: KeyStep): Promise<boolean> {
    try {
      assertTaken(await take(step));
      return true;
    } catch (error) {
      return !isWorthAnother(error);
    }
  }

  return tell;
}

function isWorthAnother(error: unknown): boolean {
  return toAppError(error).code === 'not-accepted';
}

/** About what a step takes besides its value. */
const STEP_BYTES = 200;

function bytesOf(step: KeyStep): number {
  return STEP_BYTES + ('value' in step ? step.value.length : 0);
}

/** The store never learns a key, and so cannot guess what a fingerprint is of. */
function idOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

function toText({ fingerprint, dueMs, reply, answer }: IdempotencyEntry): string {
  if (!answer) return JSON.stringify({ fingerprint, dueMs, reply });
  const { status, headers, body } = answer;
  const encoded = typeof body === 'string' ? { body } : { base64: body.toString('base64') };
  return JSON.stringify({ fingerprint, answer: { status, headers, ...encoded } });
}

function toEntry(text: string): IdempotencyEntry {
  const { answer, ...entry } = JSON.parse(text);
  if (!answer) return entry;
  const { status, headers, body, base64 } = answer;
  return { ...entry, answer: { status, headers, body: body ?? Buffer.from(base64, 'base64') } };
}
