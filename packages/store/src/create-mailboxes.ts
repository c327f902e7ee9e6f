/** {@link Mailboxes} on a database. Every call is one transaction, in which the mailboxes that it is about are locked. */
import { randomBytes } from 'node:crypto';
import { AppError, toAppError } from '@waybill/common/errors.ts';
import {
  type AppendResult,
  type AttachingClient,
  type ClientName,
  type ClosedFence,
  type Holder,
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
import type { Mailboxes, TextPage } from './mailboxes.ts';
import { readPage, readPages, trim } from './read-page.ts';
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
    return transaction(async (sql) => inMailbox(sql, (await idsOf(sql, [name], nowMs()))[0], work));
  }

  /** The mailboxes of clients, which get those that there are not, in their order; in each all that can be read is. */
  async function mailboxesOf(sql: Sql, names: readonly ClientName[]): Promise<(Mailbox | undefined)[]> {
    const ids = await idsOf(sql, names, nowMs());
    const mailboxes = await load(sql, ids);
    const settled = [...mailboxes.values()].filter(settleNow);
    await saveMailboxes(sql, settled, nowMs());
    return ids.map((id) => mailboxes.get(id));
  }

  const attachAll: Mailboxes['attachAll'] = ({ clients, holder, deadlineMs }) =>
    transaction(async (sql) => {
      const mailboxes = await mailboxesOf(sql, clients);
      const attached = clients.map((client, index) =>
        attachOne(mailboxes[index], client, { holder, closesAtMs: nowMs() + deadlineMs }),
      );
      const some = attached.flatMap((each) => (each instanceof AppError ? [] : [each]));
      const upTo = some.map(({ mailbox, start }) => ({ mailbox, offset: start.offset }));
      await trim(sql, upTo);
      const pages = new Map(some.map((each, index) => [each, index] as const));
      const read = await readPages(sql, some);
      const changed = [...new Set(some.map(({ mailbox }) => mailbox))];
      for (const mailbox of changed) {
        settleNow(mailbox);
        mailbox.usedMs = nowMs();
      }
      await saveMailboxes(sql, changed, nowMs());
      return attached.map((each) =>
        each instanceof AppError ? each : { ...(read[pages.get(each) ?? 0] as TextPage), ...each.attached },
      );
    });

  return {
    attachAll,
    async attach({ holder, deadlineMs, ...client }) {
      const [attached] = await attachAll({ clients: [client], holder, deadlineMs });
      if (!attached || attached instanceof AppError) throw attached;
      return attached;
    },
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
        const ids = await idsOfFences(sql, fences, nowMs());
        const closed = fences.map((fence, index) => ({ id: ids[index] ?? '', fence }));
        const mailboxes = await load(sql, ids);
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
        const upTo = tokens.flatMap(({ mailbox: id, after }) => {
          const mailbox = mailboxes.get(id);
          return mailbox ? [{ mailbox, offset: startAfter(mailbox, after).offset }] : [];
        });
        await trim(sql, upTo);
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

/** Has a client attached, but for what is read and saved; or what is wrong with it, and then nothing is changed. */
function attachOne(
  mailbox: Mailbox | undefined,
  { id, after }: AttachingClient,
  { holder, closesAtMs }: { holder: Holder; closesAtMs: number },
) {
  if (!mailbox) return new AppError('not-accepted', 'the mailbox has just been forgotten');
  try {
    const start = startAfter(mailbox, after);
    const { holder: previous, entries, bytes } = mailbox;
    const fence = fenceOf(mailbox, id) ?? takeOver(mailbox, { id, holder, closesAtMs });
    return { mailbox, start, attached: { fence, previous, depth: { entries, bytes } } };
  } catch (error) {
    return toAppError(error);
  }
}

/** The mailboxes of fences; one that is named by its client may be made at the moment. */
async function idsOfFences(sql: Sql, fences: readonly ClosedFence[], nowMs: number): Promise<string[]> {
  const names = fences.flatMap((fence) => ('mailbox' in fence ? [] : [fence]));
  const ids = await idsOf(sql, names, nowMs);
  return fences.map((fence) => ('mailbox' in fence ? fence.mailbox : (ids[names.indexOf(fence)] ?? '')));
}

/**
 * The ids of the mailboxes of clients, in their order, which get those that there are not. It waits for whoever makes one at the moment:
 * that one cannot be seen before.
 */
async function idsOf(sql: Sql, names: readonly ClientName[], nowMs: number): Promise<string[]> {
  const found = await findIds(sql, names);
  const missing = names.filter((name) => !found.has(keyOf(name)));
  if (missing.length > 0) {
    await addMailboxes(sql, missing, nowMs);
    for (const [key, id] of await findIds(sql, missing)) found.set(key, id);
  }
  return names.map((name) => found.get(keyOf(name)) ?? '');
}

/** In an order that is the same for all, or two processes could each wait for a mailbox that the other one makes. */
async function addMailboxes(sql: Sql, names: readonly ClientName[], nowMs: number): Promise<void> {
  const sorted = new Map(
    names.map((name) => [keyOf(name), name] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  const zeros = '0, 0, 0, 0, 0';
  const rows = Array.from(sorted, (_, index) => {
    const [id, owner, client, epoch, usedMs] = [1, 2, 3, 4, 5].map((n) => `$${5 * index + n}`);
    return `(${id}, ${owner}, ${client}, ${epoch}, ${zeros}, ${usedMs})`;
  });
  await sql(
    `INSERT INTO mailboxes (id, owner, client, epoch, fence, head, trimmed, entries, bytes, used_ms)
     VALUES ${rows.join(', ')} ON CONFLICT (owner, client) DO NOTHING`,
    [...sorted.values()].flatMap(({ owner, client }) => {
      const [id, epoch] = [randomBytes(16).toString('base64url'), randomBytes(6).toString('hex')];
      return [id, owner, client, epoch, nowMs];
    }),
  );
}

/** By {@link keyOf}. */
async function findIds(sql: Sql, names: readonly ClientName[]): Promise<Map<string, string>> {
  if (names.length === 0) return new Map();
  const terms = names.map((_, index) => `(owner = $${2 * index + 1} AND client = $${2 * index + 2})`);
  const rows = await sql(
    `SELECT id, owner, client FROM mailboxes WHERE ${terms.join(' OR ')}`,
    names.flatMap(({ owner, client }) => [owner, client]),
  );
  return new Map(
    rows.map(({ id, owner, client }) => [
      keyOf({ owner: String(owner), client: String(client) }),
      String(id),
    ]),
  );
}

function keyOf({ owner, client }: ClientName): string {
  return JSON.stringify([owner, client]);
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
