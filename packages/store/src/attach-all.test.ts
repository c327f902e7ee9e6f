import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { Attached, AttachResult } from '@waybill/common/internal-call/store-calls.ts';
import { attachAll } from './attach-all.ts';
import { createMailboxes } from './create-mailboxes.ts';
import type { Database } from './database.ts';
import type { Mailboxes } from './mailboxes.ts';
import { migrate } from './migrations.ts';
import { PAGE_BYTES } from './read-page.ts';
import { openSqlite } from './sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-attach-'));
const holder = { instance: 'one', url: 'http://127.0.0.1:1/push' };
let database: Database;
let mailboxes: Mailboxes;
/** Bytes of events that were read of the database. */
let readBytes = 0;
let transactions = 0;
let statements = 0;

before(async () => {
  database = openSqlite(join(folder, 'store.db'));
  await migrate(database);
  const transaction: Database['transaction'] = (work) => {
    transactions += 1;
    return database.transaction((sql) =>
      work(async (text, params) => {
        statements += 1;
        const rows = await sql(text, params);
        for (const { event } of rows) if (event !== undefined) readBytes += String(event).length;
        return rows;
      }),
    );
  };
  mailboxes = createMailboxes({ database: { ...database, transaction }, retentionMs: 60_000 });
});
after(async () => {
  await database.close();
  rmSync(folder, { recursive: true });
});

/** Attaches a new client for each of these at once, whose mailboxes hold what is given. */
async function attachTogether(owner: string, held: readonly string[][]): Promise<AttachResult[]> {
  for (const [index, events] of held.entries()) {
    const name = { owner, client: String(index) };
    const { mailbox, fence } = await mailboxes.attach({ ...name, holder, deadlineMs: 1_000 });
    await mailboxes.append(events.map((event, n) => ({ mailbox, fence, n, event, bytes: event.length })));
  }
  readBytes = 0;
  const clients = held.map((_, index) => ({ owner, client: String(index) }));
  const texts = await attachAll(mailboxes, { clients, holder, deadlineMs: 1_000 });
  return texts.map((text) => JSON.parse(text));
}

it('answers in the order of the clients, each with its own entries or what is wrong with it', async () => {
  await attachTogether('in order', [['1'], [], ['2', '3']]);
  const clients = ['0', '1', '2'].map((client) => ({ owner: 'in order', client }));
  Object.assign(clients[1] as object, { after: 'no token' });
  const texts = await attachAll(mailboxes, { clients, holder, deadlineMs: 1_000 });
  const [first, second, third] = texts.map((text) => JSON.parse(text));
  assert.deepEqual(first.entries, [{ offset: 1, event: 1 }]);
  assert.equal(second.problem.code, 'invalid-request');
  assert.equal(third.entries.length, 2);
});

const half = JSON.stringify('x'.repeat(PAGE_BYTES / 2 + 1));
const whole = JSON.stringify('x'.repeat(PAGE_BYTES));
for (const [name, held, counts, bytes] of [
  ['one is larger than a page', [[], [whole], [half], []], [0, 1, 0, 0], whole.length],
  ['the second does not fit', [[half], [half], ['1'], [half]], [1, 0, 0, 0], half.length],
  ['some of one fit', [['1'], ['2', half, half, '3'], ['4']], [1, 2, 0], half.length + 2],
  ['each has a page', Array.from({ length: 8 }, () => [half, half]), [1, ...Array(7).fill(0)], half.length],
] as const)
  it(`leaves entries to be read that are more than a page in all, and never reads them: ${name}`, async () => {
    const attached = (await attachTogether(
      name,
      held.map((events) => [...events]),
    )) as Attached[];
    assert.deepEqual(
      attached.map(({ entries }) => entries.length),
      counts,
    );
    assert.equal(readBytes, bytes);
  });

it('throws what is wrong with none of them', async () => {
  const away = new AppError('not-accepted', 'the database of the store fails');
  const clients = ['here', 'away'].map((client) => ({ owner: '', client }));
  const attached = attachAll(
    { attachAll: () => Promise.reject(away) },
    { clients, holder, deadlineMs: 1_000 },
  );
  await assert.rejects(attached, away);
});

it('attaches many in one transaction, with as few statements as one', async () => {
  const attach = async (count: number) => {
    const clients = Array.from({ length: count }, (_, index) => ({
      owner: `${count} together`,
      client: `${index}`,
    }));
    const counts = async () => {
      [transactions, statements] = [0, 0];
      await attachAll(mailboxes, { clients, holder, deadlineMs: 1_000 });
      return [transactions, statements];
    };
    return [await counts(), await counts()];
  };
  const [[one, forOne], [again, forOneAgain]] = (await attach(1)) as [number[], number[]];
  assert.deepEqual(await attach(128), [
    [one, forOne],
    [again, forOneAgain],
  ]);
  assert.deepEqual([one, again], [1, 1]);
});

it('attaches a client that comes twice at once to whom comes last', async () => {
  const name = { owner: 'twice', client: 'c' };
  const clients = [
    { ...name, id: 'first' },
    { ...name, id: 'second' },
  ];
  const [first, second] = (await attachAll(mailboxes, { clients, holder, deadlineMs: 1_000 })).map((text) =>
    JSON.parse(text),
  );
  assert.equal(first.mailbox, second.mailbox);
  assert.deepEqual([first.previous, second.previous, second.fence - first.fence], [undefined, holder, 1]);
});
