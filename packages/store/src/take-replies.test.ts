import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BATCH_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import type { AppendResult } from '@waybill/common/internal-call/store-calls.ts';
import { pino } from 'pino';
import type { NewAnswer } from './answers.ts';
import type { NewEntry } from './mailboxes.ts';
import { newReply } from './store.fixture.ts';
import { createTakeReplies } from './take-replies.ts';

const randomKey = () => randomBytes(16).toString('base64url');

/** Takes replies, and has each transaction end when it is told to. */
function takeSlowly() {
  const transactions: { replies: number; end(): void }[] = [];
  const begin = async (replies: readonly (NewAnswer | NewEntry)[]): Promise<AppendResult[]> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    transactions.push({ replies: replies.length, end: resolve });
    await promise;
    return replies.map(() => ({ outcome: 'appended' }));
  };
  const take = createTakeReplies({ mailboxes: { append: begin }, answers: { keep: begin } });
  const append = async (correlationIds: readonly string[]) => {
    const { results } = await take({
      body: Buffer.from(JSON.stringify(correlationIds.map((id) => newReply(id)))),
      contentType: BATCH_CONTENT_TYPE,
      log: pino({ level: 'silent' }),
      isGone: () => false,
    });
    return results.map(({ outcome }) => outcome);
  };
  return { transactions, append };
}

for (const [kind, newId] of [
  ['answers to be fetched later', randomKey],
  ['entries of mailboxes', () => `${randomKey()}.1.0`],
] as const)
  it(`takes ${kind} of several calls in one transaction, and those that come meanwhile in the next`, async () => {
    const { transactions, append } = takeSlowly();
    const sizes = () => transactions.map(({ replies }) => replies);
    const newIds = (count: number) => Array.from({ length: count }, newId);
    const first = [append(newIds(100)), append(newIds(28))];
    while (transactions.length === 0) await nextTurn();
    assert.deepEqual(sizes(), [128]);
    const meanwhile = [append(newIds(100)), append(newIds(50))];
    transactions[0]?.end();
    assert.equal((await Promise.all(first)).flat().length, 128);
    while (transactions.length === 1) await nextTurn();
    assert.deepEqual(sizes(), [128, 150]);
    transactions[1]?.end();
    assert.deepEqual(new Set((await Promise.all(meanwhile)).flat()), new Set(['appended']));
  });
