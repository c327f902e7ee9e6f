/**
 * Mailboxes as a transaction sees them: their rows, locked, with the fences and what waits under them; and the way back into
 * the database of what has changed.
 */
import type { Holder } from '@waybill/common/internal-call/store-calls.ts';
import type { Row, Sql } from './database.ts';
import type { Fence, FilledSlot } from './release.ts';
import { placeholders, upsert } from './upsert.ts';

/** An entry that has no offset yet, or has just got one; `event` is there when it is new. */
export type Waiting = FilledSlot & { event?: string; bytes: number; offset?: number };

export type Mailbox = {
  id: string;
  owner: string;
  client: string;
  epoch: string;
  /** The last fence that was given. */
  fence: number;
  holder: Holder | undefined;
  /** The last offset that was given. */
  head: number;
  /** Entries up to this offset are gone. */
  trimmed: number;
  entries: number;
  bytes: number;
  usedMs: number;
  /** In ascending order. Replaced, never changed. */
  fences: readonly Fence[];
  /** Those that are in the database. */
  savedFences: readonly Fence[];
  waiting: Waiting[];
};

/** Loads mailboxes by their ids, those that there are, and locks them, in an order that is the same for all. */
export async function loadMailboxes(
  sql: Sql,
  ids: readonly string[],
  lockRows: string,
): Promise<Map<string, Mailbox>> {
  const wanted = [...new Set(ids)].sort();
  if (wanted.length === 0) return new Map();
  const list = placeholders(1, wanted.length);
  const rows = await sql(`SELECT * FROM mailboxes WHERE id IN ${list} ORDER BY id${lockRows}`, wanted);
  const mailboxes = new Map(rows.map((row) => [String(row.id), toMailbox(row)]));
  if (mailboxes.size === 0) return mailboxes;
  const fences = await sql(`SELECT * FROM fences WHERE mailbox IN ${list} ORDER BY mailbox, fence`, wanted);
  for (const [id, rows] of Map.groupBy(fences, ({ mailbox }) => String(mailbox))) {
    const mailbox = mailboxes.get(id);
    if (mailbox) mailbox.fences = mailbox.savedFences = rows.map(toFence);
  }
  const waiting = await sql(
    `SELECT mailbox, fence, n, bytes, due_ms FROM entries WHERE mailbox IN ${list} AND position IS NULL`,
    wanted,
  );
  for (const row of waiting) mailboxes.get(String(row.mailbox))?.waiting.push(toWaiting(row));
  return mailboxes;
}

function toWaiting({ fence, n, bytes, due_ms }: Row): Waiting {
  const dueMs = due_ms === null ? undefined : Number(due_ms);
  return { fence: Number(fence), n: Number(n), bytes: Number(bytes), dueMs };
}

/** Saves what has changed: of `waiting` that is what is new or has got an offset. */
export async function saveMailboxes(sql: Sql, mailboxes: readonly Mailbox[], nowMs: number): Promise<void> {
  await upsert(
    sql,
    'mailboxes',
    ['id'],
    mailboxes.map((mailbox) => toRow(mailbox, nowMs)),
  );
  await insertEntries(sql, mailboxes, nowMs);
  for (const mailbox of mailboxes) await moveEntries(sql, mailbox);
  await saveFences(sql, mailboxes);
  for (const mailbox of mailboxes) {
    mailbox.savedFences = mailbox.fences;
    mailbox.waiting = mailbox.waiting
      .filter(({ offset }) => offset === undefined)
      .map(({ event, ...saved }) => saved);
  }
}

async function insertEntries(sql: Sql, mailboxes: readonly Mailbox[], added_ms: number): Promise<void> {
  const rows = mailboxes.flatMap(({ id: mailbox, waiting }) =>
    waiting
      .filter(({ event }) => event !== undefined)
      .map(({ fence, n, event, bytes, offset, dueMs }) => {
        return { mailbox, fence, n, position: offset, event, bytes, added_ms, due_ms: dueMs };
      }),
  );
  await upsert(sql, 'entries', ['mailbox', 'fence', 'n'], rows);
}

/** Few: most replies come in order, and have their offset when they are inserted. */
async function moveEntries(sql: Sql, { id, waiting }: Mailbox): Promise<void> {
  for (const { fence, n, offset, event } of waiting)
    if (event === undefined && offset !== undefined)
      await sql('UPDATE entries SET position = $1 WHERE mailbox = $2 AND fence = $3 AND n = $4', [
        offset,
        id,
        fence,
        n,
      ]);
}

async function saveFences(sql: Sql, mailboxes: readonly Mailbox[]): Promise<void> {
  const changed = mailboxes.flatMap(({ id, fences, savedFences }) => {
    const saved = new Set(savedFences);
    return fences.filter((fence) => !saved.has(fence)).map((fence) => toFenceRow(id, fence));
  });
  await upsert(sql, 'fences', ['mailbox', 'fence'], changed);
  for (const { id, fences, savedFences } of mailboxes) {
    const left = new Set(fences.map(({ fence }) => fence));
    for (const { fence } of savedFences)
      if (!left.has(fence)) await sql('DELETE FROM fences WHERE mailbox = $1 AND fence = $2', [id, fence]);
  }
}

function toMailbox(row: Row): Mailbox {
  const { holder_instance: instance, holder_url: url } = row;
  return {
    id: String(row.id),
    owner: String(row.owner),
    client: String(row.client),
    epoch: String(row.epoch),
    fence: Number(row.fence),
    holder: instance === null ? undefined : { instance: String(instance), url: String(url) },
    head: Number(row.head),
    trimmed: Number(row.trimmed),
    entries: Number(row.entries),
    bytes: Number(row.bytes),
    usedMs: Number(row.used_ms),
    fences: [],
    savedFences: [],
    waiting: [],
  };
}

function toRow({ holder, usedMs, fences, savedFences, waiting, ...same }: Mailbox, changed_ms: number): Row {
  const { instance: holder_instance, url: holder_url } = holder ?? {};
  return { ...same, holder_instance, holder_url, used_ms: usedMs, changed_ms };
}

function toFence({ fence, next_n, last_n, closes_at_ms, call_id, event_id }: Row): Fence {
  return {
    fence: Number(fence),
    nextN: Number(next_n),
    lastN: last_n === null ? undefined : Number(last_n),
    closesAtMs: closes_at_ms === null ? undefined : Number(closes_at_ms),
    callId: call_id === null ? undefined : String(call_id),
    eventId: event_id === null ? undefined : String(event_id),
  };
}

function toFenceRow(mailbox: string, { fence, nextN, lastN, closesAtMs, callId, eventId }: Fence): Row {
  const bounds = { next_n: nextN, last_n: lastN, closes_at_ms: closesAtMs };
  return { mailbox, fence, ...bounds, call_id: callId, event_id: eventId };
}
