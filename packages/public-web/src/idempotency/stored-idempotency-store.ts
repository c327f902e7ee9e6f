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
import type { ReadAnswer, ReadValue, StoreCall } from '@waybill/common/internal-call/store-calls.ts';
import type { AskStore } from '../later/store-client.ts';
import type { IdempotencyEntry, IdempotencyStore } from './idempotency-store.ts';
import { answerAt } from './kept-answer.ts';

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
  const tell = createTell(askStore);

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
      try {
        const call = { call: 'claim-key', ...claimed, value: toText(entry), keepMs } as const;
        const { value } = await askStore<ReadValue>(call);
        if (value !== undefined) return await withReply(toEntry(value));
        claims.set(key, claim);
        return undefined;
      } catch (error) {
        void tell({ call: 'release-key', ...claimed }).catch(() => {});
        throw error;
      }
    },
    async read(key) {
      const { value } = await askStore<ReadValue>({ call: 'read-key', key: idOf(key) });
      return value === undefined ? undefined : await withReply(toEntry(value));
    },
    async amend(key, entry) {
      const claim = claims.get(key);
      if (claim !== undefined)
        await askStore({ call: 'amend-key', key: idOf(key), claim, value: toText(entry) });
    },
    async keep(key, entry) {
      claims.delete(key);
      const value = toText(entry);
      await tell({ call: 'keep-key', key: idOf(key), value, keepMs }, value.length);
    },
    async release(key) {
      const claim = claims.get(key);
      claims.delete(key);
      if (claim !== undefined) await tell({ call: 'release-key', key: idOf(key), claim });
    },
  };
}

/**
 * Creates what tells a store something: it resolves or rejects with the first try, and goes on trying in the background, as far
 * as the bounds allow.
 */
function createTell(askStore: AskStore) {
  let unheard = 0;
  let unheardBytes = 0;

  async function tell(call: StoreCall, bytes = 0, tries = 1): Promise<void> {
    try {
      await askStore(call);
    } catch (error) {
      void tellAgain(call, bytes, tries);
      throw error;
    }
  }

  async function tellAgain(call: StoreCall, bytes: number, tries: number): Promise<void> {
    if (tries >= MAX_TRIES || unheard >= MAX_UNHEARD || unheardBytes + bytes > MAX_UNHEARD_BYTES) return;
    unheard += 1;
    unheardBytes += bytes;
    await backOff(tries, AGAIN);
    unheard -= 1;
    unheardBytes -= bytes;
    await tell(call, bytes, tries + 1).catch(() => {});
  }

  return tell;
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
