/** The answer to a request that another instance has under way, which is looked for in the store until it is there. */
import { AppError } from '@waybill/common/errors.ts';
import { createAwaitAnswer } from '../later/await-answer.ts';
import type { KeyedRequest } from './idempotency.ts';
import type { IdempotencyEntry, IdempotencyStore, KeptAnswer } from './idempotency-store.ts';
import { answerAt } from './kept-answer.ts';

/** Between two looks, for all at this instance that wait for the same: 50, 100, 200, 400, 800, 1,000, 1,000 … ms. */
const LOOK_AGAIN = { lookAgainMs: 50, maxLookAgainMs: 1_000 };

/**
 * Resolves with the answer of the instance that has claimed the key.
 *
 * @throws AppError `outcome-unknown` when there is none in the time that the request has, when that instance must have died, or
 *   this one stops; `not-accepted` when the first request did not run; `idempotency-key-reused`; `client-gone`.
 */
export type Follow = (request: Omit<KeyedRequest, 'log' | 'onWaiting'>) => Promise<KeptAnswer>;

/** Creates {@link Follow}. */
export function createFollow({
  store,
  stopping,
}: {
  store: Pick<IdempotencyStore, 'read'>;
  stopping: AbortSignal;
}): Follow {
  const awaitEntry = createAwaitAnswer({
    read: ({ id }: { id: string }) => look(id),
    ...LOOK_AGAIN,
    stopping,
  });

  /** While no store answers it may be there, for all that anybody knows. */
  async function look(key: string): Promise<AnsweredEntry | undefined> {
    let entry: IdempotencyEntry | undefined;
    try {
      entry = await store.read(key);
    } catch {
      return undefined;
    }
    if (!entry) throw new AppError('not-accepted', 'the first request with this idempotency key did not run');
    if (isAnswered(entry)) return entry;
    if (entry.dueMs === undefined || entry.dueMs >= Date.now()) return undefined;
    if (entry.reply) return { ...entry, answer: answerAt(entry.reply.location) };
    throw new AppError('outcome-unknown', 'the instance that was at the first request has not answered it');
  }

  return async ({ key, fingerprint, waitMs, onGone }) => {
    let isGone = false;
    onGone(() => {
      isGone = true;
    });
    const entry = await awaitEntry({ id: key }, { waitMs, onGone });
    if (isGone) throw new AppError('client-gone', 'the client has gone');
    if (!entry) throw unanswered(waitMs);
    assertSame(entry.fingerprint, fingerprint);
    return entry.answer;
  };
}

/** What a request is told that has waited in vain. */
export function unanswered(waitMs: number): AppError {
  return new AppError('outcome-unknown', `no answer to the first request within ${Math.ceil(waitMs)} ms`);
}

/** @throws AppError `idempotency-key-reused` when the key is that of another request. */
export function assertSame(fingerprint: string, expected: string): void {
  if (fingerprint !== expected)
    throw new AppError('idempotency-key-reused', 'the same Idempotency-Key came with another body or route');
}

type AnsweredEntry = IdempotencyEntry & { answer: KeptAnswer };

function isAnswered(entry: IdempotencyEntry): entry is AnsweredEntry {
  return entry.answer !== undefined;
}
