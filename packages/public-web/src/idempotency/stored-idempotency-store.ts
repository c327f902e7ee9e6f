/**
 * Idempotency keys in the store tier, so that a key means the same on every instance.
 *
 * A claim of which no store has told may have been made all the same. So each has an id, by which one that is for nobody is
 * released. That, and an answer that could not be kept, is told to the store again.
 *
 * A store that has no room refuses a claim. One that it takes holds room for most answers; of a larger one that finds none is kept
 * that there was one.
 *
 * A claim whose instance has died has no answer; but the reply to its event may be in the store, and then that is its answer.
 */
import { createHash, randomUUID } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import {
  CLAIM_ROOM_BYTES,
  type KeyResult,
  type ReadAnswer,
} from '@waybill/common/internal-call/store-calls.ts';
import type { AskStore } from '../later/store-client.ts';
import { toEntry, toText } from './entry-text.ts';
import type { IdempotencyEntry, IdempotencyStore } from './idempotency-store.ts';
import { answerAt, answerNotKept } from './kept-answer.ts';
import { ownerOf } from './kept-under.ts';
import { assertTaken, createReadLarge, createTakeStep } from './take-step.ts';
import { createTell, isWorthAnother } from './tell-again.ts';

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
      const told = await take({
        step: 'claim',
        ...claimed,
        owner: ownerOf(key),
        value: toText(entry),
        keepMs,
      });
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
      const value = toText(entry);
      const otherwise =
        Buffer.byteLength(value) > CLAIM_ROOM_BYTES ? toText(withoutAnswer(entry)) : undefined;
      await tell({ step: 'keep', key: idOf(key), owner: ownerOf(key), value, otherwise, keepMs });
    },
    async release(key) {
      const claim = claims.get(key);
      claims.delete(key);
      if (claim !== undefined) await tell({ step: 'release', key: idOf(key), claim });
    },
  };
}

function withoutAnswer({ fingerprint }: IdempotencyEntry): IdempotencyEntry {
  return { fingerprint, answer: answerNotKept('found no room in the store') };
}

/** The store never learns a key, and so cannot guess what a fingerprint is of. */
function idOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}
