/** {@link Mailboxes} on a database. Every call is one transaction, in which the mailboxes that it is about are locked. */
import { randomBytes } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import {
  type AppendResult,
  type ClientName,
  type ClosedFence,
  MAILBOX_MAX_BYTES,
  MAILBOX_MAX_ENTRIES,
  type MailboxName,
  type PushedPosition,
} from '@waybill/common/internal-call/store-calls.ts';
import type { Database, Sql } from './database.ts';
import { addFence, fenceOf, letGo, takeOver } from './fences.ts';
import { findChanged } from './find-changed.ts';
import { removeAll, removeUnused, trimOld } from './forget-old.ts';
import { createHearing } from './hearing.ts';
import { findStale, lookAt, noteUse } from './look.ts';
import { loadMailboxes, type Mailbox, saveMailboxes, type Waiting } from './mailbox-rows.ts';
import type { Mailboxes } from './mailboxes.ts';
import { readPage, trim } from './read-page.ts';
import { settle, takeEntry } from './settle.ts';
import { startAfter } from './token.ts';

/** That a mailbox is in use is noted this often at most, so that those who only look write nothing. */
const NOTE_USE_MS = 60_000;
/** Holders look at one in which nothing happens once a minute; so its use is noted this late at most. */
export const USE_IS_LATE_MS = 2 * NOTE_USE_MS;

/** Fences of one mailbox, each call of which loads them all. A session has four times less under way, and one fence. */
const MAX_FENCES = 1_000;

export type CreateMailboxesOptions = {
  /** With the tables of `migrations.ts`. */
  database: Database;
  /** How long an entry is kept, and a mailbox that nobody uses. */
  retentionMs: number;
  /** Default 10,000. */
  maxEntries?: number;
  /** Default 16 MiB. */
  maxBytes?: number;
  /** Under so many nothing more is reserved, since so many wait for their results then. Default 1,000. */
  maxFences?: number;
  /** By when one has come again that could not be heard. Default 5 s. */
  heardWithinMs?: number;
  nowMs?: () => number;
  /** As of {@link createHearing}. */
  monotonicMs?: () => number;
};

/** Creates the {@link Mailboxes} in a database. */
export function createMailboxes({
  database,
  retentionMs,
  maxEntries = MAILBOX_MAX_ENTRIES,
  maxBytes = MAILBOX_MAX_BYTES,
  maxFences = MAX_FENCES,
  heardWithinMs,
  nowMs = Date.now,
  monotonicMs,
}: CreateMailboxesOptions): Mailboxes {
  const { lockRows, seenWithinMs } = database;
  const hearing = createHearing({ nowMs, monotonicMs, heardWithinMs });
  const run = randomBytes(6).toString('hex');
  const load = (sql: Sql, ids: readonly string[]) => loadMailboxes(sql, ids, lockRows);

  const transaction: Database['transaction'] = (work) => hearing.during(() => database.transaction(work));
  const settleNow = (mailbox: Mailbox) => settle(mailbox, nowMs(), hearing.hasHeardAll());

  type Work<T> = (mailbox: Mailbox, sql: Sql) => T | Promise<T>;

  /** Runs `work` on one mailbox, in which all that can be read is, and saves what it did. */
  async function inMailbox<T>(sql: Sql, id: string | undefined, work: Work<T>): Promise<T> {
    const mailbox = id === undefined ? undefined : (await load(sql, [id])).get(id);
    if (!mailbox) throw new AppError('not-found', 'there is no such mailbox');
    if (settleNow(mailbox)) await saveMailboxes(sql, [mailbox], nowMs());
    const before = { ...mailbox };
    const result = await work(mailbox, sql);
    settleNow(mailbox);
    const isNoted = mailbox.usedMs + NOTE_USE_MS > nowMs();
    mailbox.usedMs = nowMs();
    if (!isNoted || isChanged(before, mailbox)) await saveMailboxes(sql, [mailbox], nowMs());
    return result;
  }

  function withMailbox<T>(name: MailboxName, work: Work<T>): Promise<T> {
    return transaction(async (sql) =>
      inMailbox(sql, 'mailbox' in name ? name.mailbox : await findId(sql, name), work),
    );
  }

  /** As {@link withMailbox}; a client without one gets one. */
  function withMailboxOf<T>(name: ClientName, work: Work<T>): Promise<T> {
    return transaction(async (sql) =>
      inMailbox(sql, (await findId(sql, name)) ?? (await addMailbox(sql, name, nowMs())), work),
    );
  }

  return {
    attach: ({ id, holder, after, deadlineMs, room, ...name }) =>
      withMailboxOf(name, async (mailbox, sql) => {
        const { holder: previous, entries, bytes } = mailbox;
        const fence =
          fenceOf(mailbox, id) ?? takeOver(mailbox, { id, holder, closesAtMs: nowMs() + deadlineMs });
        const page = await readPage(sql, mailbox, { after, room });
        return { ...page, fence, previous, depth: { entries, bytes } };
      }),
    reserve: ({ id, eventId, count, deadlineMs, ...name }) =>
      withMailboxOf(name, (mailbox) => {
        const known = fenceOf(mailbox, id);
        if (known !== undefined) return { mailbox: mailbox.id, fence: known };
        if (mailbox.entries + count > maxEntries || mailbox.bytes >= maxBytes)
          throw new AppError('mailbox-full', 'the mailbox is full: acknowledge what was read of it');
        if (mailbox.fences.length >= maxFences)
          throw new AppError('mailbox-full', 'too many events for the mailbox wait for their results');
        const closesAtMs = nowMs() + deadlineMs;
        const fence = addFence(mailbox, { lastN: count - 1, closesAtMs, callId: id, eventId });
        return { mailbox: mailbox.id, fence };
      }),
    detach: ({ fences, deadlineMs }) =>
      transaction(async (sql) => {
        const closed: { id: string; fence: ClosedFence }[] = [];
        for (const fence of fences)
          closed.push({ id: 'mailbox' in fence ? fence.mailbox : ((await findId(sql, fence)) ?? ''), fence });
        const mailboxes = await load(
          sql,
          closed.map(({ id }) => id),
        );
        for (const { id, fence } of closed) {
          const mailbox = mailboxes.get(id);
          if (mailbox) letGo(mailbox, fence, nowMs() + deadlineMs);
        }
        for (const mailbox of mailboxes.values()) settleNow(mailbox);
        await saveMailboxes(sql, [...mailboxes.values()], nowMs());
      }),
    append: (entries) =>
      transaction(async (sql) => {
        const ids = entries.map(({ mailbox }) => mailbox);
        const mailboxes = await load(sql, ids);
        const taken = entries.map((entry) => {
          const mailbox = mailboxes.get(entry.mailbox);
          return mailbox && { mailbox, entry: takeEntry(mailbox, entry) };
        });
        for (const mailbox of mailboxes.values()) {
          settleNow(mailbox);
          mailbox.usedMs = nowMs();
        }
        await saveMailboxes(sql, [...mailboxes.values()], nowMs());
        return taken.map((each) => (each ? toResult(each.mailbox, each.entry) : { outcome: 'gone' }));
      }),
    read: ({ after, beyond, ...name }) =>
      withMailbox(name, (mailbox, sql) => readPage(sql, mailbox, { after, beyond })),
    changes: (since) =>
      transaction((sql) => findChanged(sql, { since, run, seenMs: nowMs() - seenWithinMs })),
    look: ({ instance, mailboxes: asked }) =>
      transaction(async (sql) => {
        const ids = asked.map(({ mailbox }) => mailbox);
        const stale = await findStale(sql, ids, { nowMs: nowMs(), usedBeforeMs: nowMs() - NOTE_USE_MS });
        const mailboxes = [...(await load(sql, stale)).values()];
        for (const mailbox of mailboxes) mailbox.usedMs = nowMs();
        const settled = mailboxes.filter((mailbox) => settleNow(mailbox));
        await saveMailboxes(sql, settled, nowMs());
        const others = mailboxes.filter((mailbox) => !settled.includes(mailbox));
        await noteUse(sql, others, nowMs());
        return lookAt(sql, instance, asked);
      }),
    acknowledge: (tokens) =>
      transaction(async (sql) => {
        const ids = tokens.map(({ mailbox }) => mailbox);
        const mailboxes = await load(sql, ids);
        for (const { mailbox: id, after } of tokens) {
          const mailbox = mailboxes.get(id);
          if (mailbox) await trim(sql, mailbox, startAfter(mailbox, after).offset);
        }
        await saveMailboxes(sql, [...mailboxes.values()], nowMs());
      }),
    async forgetOld(isStopping) {
      const options = { beforeMs: nowMs() - retentionMs, nowMs: nowMs(), lockRows };
      const unused = { ...options, beforeMs: options.beforeMs - USE_IS_LATE_MS };
      const remove = (work: (sql: Sql) => Promise<number>) =>
        removeAll(() => database.transaction(work), isStopping);
      const entries = await remove((sql) => trimOld(sql, options));
      const mailboxes = await remove((sql) => removeUnused(sql, unused));
      return { entries, mailboxes };
    },
  };
}

/** Resolves with the id of the one that there is now: another process may have been faster. */
async function addMailbox(
  sql: Sql,
  { owner, client }: ClientName,
  nowMs: number,
): Promise<string | undefined> {
  await sql(
    `INSERT INTO mailboxes (id, owner, client, epoch, fence, head, trimmed, entries, bytes, used_ms)
     VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0, $5) ON CONFLICT (owner, client) DO NOTHING`,
    [randomBytes(16).toString('base64url'), owner, client, randomBytes(6).toString('hex'), nowMs],
  );
  return findId(sql, { owner, client });
}

async function findId(sql: Sql, { owner, client }: ClientName): Promise<string | undefined> {
  const [row] = await sql('SELECT id FROM mailboxes WHERE owner = $1 AND client = $2', [owner, client]);
  return row && String(row.id);
}

function isChanged(before: Mailbox, after: Mailbox): boolean {
  const names = ['fence', 'head', 'trimmed', 'fences', 'holder'] as const;
  return names.some((name) => before[name] !== after[name]);
}

/** One that waits for others changes nothing that could be read, so nobody is told. */
function toResult({ id, epoch, head, bytes, holder }: Mailbox, entry: Waiting | undefined): AppendResult {
  const outcome = entry ? 'appended' : 'repeated';
  const offset = entry?.offset;
  const isTold = holder && (offset !== undefined || !entry);
  const position: PushedPosition = { mailbox: id, epoch, head, offset, bytes };
  return isTold ? { outcome, push: { holder, ...position } } : { outcome };
}
