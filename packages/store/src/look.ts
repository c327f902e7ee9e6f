/** A look at many mailboxes at once, which locks and writes nothing where nothing has become due. */
import type { LookedAt } from '@waybill/common/internal-call/store-calls.ts';
import type { Row, Sql } from './database.ts';
import { placeholders } from './upsert.ts';

/** Those of `ids` that are to be settled, because something in them is due, or whose use is to be noted. */
export async function findStale(
  sql: Sql,
  ids: readonly string[],
  { nowMs, usedBeforeMs }: { nowMs: number; usedBeforeMs: number },
): Promise<string[]> {
  if (ids.length === 0) return [];
  const list = placeholders(1, ids.length);
  const next = `$${ids.length + 1}`;
  const found = [
    await sql(`SELECT id FROM mailboxes WHERE id IN ${list} AND used_ms < ${next}`, [...ids, usedBeforeMs]),
    await sql(`SELECT mailbox AS id FROM fences WHERE mailbox IN ${list} AND closes_at_ms <= ${next}`, [
      ...ids,
      nowMs,
    ]),
    await sql(
      `SELECT mailbox AS id FROM entries WHERE mailbox IN ${list} AND position IS NULL AND due_ms <= ${next}`,
      [...ids, nowMs],
    ),
  ];
  return [...new Set(found.flat().map(({ id }) => String(id)))];
}

/** Notes that mailboxes, which are locked, are in use; that changes nothing in them. */
export async function noteUse(sql: Sql, mailboxes: readonly { id: string }[], nowMs: number): Promise<void> {
  if (mailboxes.length === 0) return;
  const ids = mailboxes.map(({ id }) => id);
  const last = `$${ids.length + 1}`;
  await sql(`UPDATE mailboxes SET used_ms = ${last} WHERE id IN ${placeholders(1, ids.length)}`, [
    ...ids,
    nowMs,
  ]);
}

/** Where each of `asked` stands that there is and that somebody holds, unless `instance` has attached it once more itself. */
export async function lookAt(
  sql: Sql,
  instance: string,
  asked: readonly { mailbox: string; fence: number }[],
): Promise<LookedAt[]> {
  if (asked.length === 0) return [];
  const ids = asked.map(({ mailbox }) => mailbox);
  const list = placeholders(1, ids.length);
  // Before the mailboxes: whoever attaches in between is their holder then, and no head is older than what was released.
  const fences = await sql(
    `SELECT mailbox, fence, next_n, closes_at_ms FROM fences WHERE mailbox IN ${list}`,
    ids,
  );
  const waiting = await sql(
    `SELECT DISTINCT mailbox FROM entries WHERE mailbox IN ${list} AND position IS NULL`,
    ids,
  );
  const rows = await sql(
    `SELECT id, epoch, head, trimmed, bytes, holder_instance FROM mailboxes WHERE id IN ${list}`,
    ids,
  );
  const { open = [], closing = [] } = Object.groupBy(fences, ({ closes_at_ms }) =>
    closes_at_ms === null ? 'open' : 'closing',
  );
  const restless = new Set([...closing, ...waiting].map(({ mailbox }) => String(mailbox)));
  const fenceOf = new Map(asked.map(({ mailbox, fence }) => [mailbox, fence]));
  const nextNs = new Map(
    open
      .filter(({ mailbox, fence }) => fenceOf.get(String(mailbox)) === Number(fence))
      .map(({ mailbox, next_n }) => [String(mailbox), Number(next_n)]),
  );
  // An attach that its instance gave up may be carried out late: nobody has taken over, but nothing is held any more either.
  const isLost = ({ id, holder_instance: holder }: Row) =>
    holder === null || (holder === instance && !nextNs.has(String(id)));
  return rows
    .filter((row) => !isLost(row))
    .map((row) => ({
      ...toLookedAt(row, instance, nextNs.get(String(row.id))),
      isAtRest: !restless.has(String(row.id)),
    }));
}

function toLookedAt(
  { id, epoch, head, trimmed, bytes, holder_instance }: Row,
  instance: string,
  nextN: number | undefined,
): Omit<LookedAt, 'isAtRest'> {
  const isHeld = holder_instance === instance && nextN !== undefined;
  const position = {
    mailbox: String(id),
    epoch: String(epoch),
    head: Number(head),
    trimmed: Number(trimmed),
  };
  return { ...position, bytes: Number(bytes), nextN: nextN ?? 0, isHeld };
}
