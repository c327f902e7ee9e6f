import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { Attached, AttachResult } from '@waybill/common/internal-call/store-calls.ts';
import { attachAll } from './attach-all.ts';
import type { AttachedText } from './mailboxes.ts';
import { PAGE_BYTES } from './read-page.ts';

const holder = { instance: 'one', url: 'http://127.0.0.1:1/push' };

/** Attaches each of these clients at once, whose mailboxes hold what is given, or fail. */
async function attachTogether(held: (string[] | Error)[]): Promise<AttachResult[]> {
  const mailboxes = {
    async attach({ client }: { client: string }): Promise<AttachedText> {
      const events = held[Number(client)] as string[] | Error;
      if (events instanceof Error) throw events;
      const entries = events.map((event, index) => ({ offset: index + 1, event }));
      const position = { mailbox: client, epoch: 'e', head: events.length, trimmed: 0, fence: 1 };
      return { ...position, entries, depth: { entries: events.length, bytes: 0 } };
    },
  };
  const clients = held.map((_, index) => ({ owner: '', client: String(index) }));
  const texts = await attachAll(mailboxes, { clients, holder, deadlineMs: 1_000 });
  return texts.map((text) => JSON.parse(text));
}

it('answers in the order of the clients, each with its own entries or what is wrong with it', async () => {
  const noToken = new AppError('invalid-request', 'that is no token');
  const [first, second, third] = await attachTogether([['1'], noToken, ['2', '3']]);
  assert.deepEqual((first as Attached).entries, [{ offset: 1, event: 1 }]);
  assert.equal((second as { problem: { code: string } }).problem.code, 'invalid-request');
  assert.equal((third as Attached).entries.length, 2);
});

it('leaves entries to be read that are more than a page in all, but never the first that there are', async () => {
  const half = JSON.stringify('x'.repeat(PAGE_BYTES / 2 + 1));
  const whole = JSON.stringify('x'.repeat(PAGE_BYTES));
  const counts = async (held: string[][]) =>
    ((await attachTogether(held)) as Attached[]).map(({ entries }) => entries.length);
  assert.deepEqual(await counts([[], [whole], [half], []]), [0, 1, 0, 0]);
  assert.deepEqual(await counts([[half], [half], ['1'], [half]]), [1, 0, 0, 0]);
});

it('throws what is wrong with none of them', async () => {
  const away = new AppError('not-accepted', 'the database of the store fails');
  await assert.rejects(attachTogether([['1'], away]), away);
});
