import type { Sql } from './database.ts';
import { loadMailboxes, saveMailboxes } from './mailbox-rows.ts';
import { trim } from './read-page.ts';

/** Mailboxes that are trimmed, or removed, in one transaction: others wait for it. */
const MAX_AT_ONCE = 500;

/** Trims each mailbox that holds something added before then; resolves with how many entries are gone. */
export async function trimOld(
  sql: Sql,
  { beforeMs, nowMs, lockRows }: { beforeMs: number; nowMs: number; lockRows: string },
): Promise<number> {
  const old = await sql(
    `SELECT mailbox, MAX(position) AS position FROM entries
     WHERE added_ms < $1 AND position IS NOT NULL GROUP BY mailbox LIMIT $2`,
    [beforeMs, MAX_AT_ONCE],
  );
  const ids = old.map(({ mailbox }) => String(mailbox));
  const mailboxes = await loadMailboxes(sql, ids, lockRows);
  let removed = 0;
  for (const { mailbox: id, position } of old) {
    const mailbox = mailboxes.get(String(id));
    if (mailbox) removed += await trim(sql, mailbox, Number(position));
  }
  await saveMailboxes(sql, [...mailboxes.values()], nowMs);
  return removed;
}

/** Removes mailboxes that nobody has used since, with all that is in them; resolves with how many. */
export async function removeUnused(sql: Sql, beforeMs: number): Promise<number> {
  const unused = await sql('SELECT id FROM mailboxes WHERE used_ms < $1 LIMIT $2', [beforeMs, MAX_AT_ONCE]);
  for (const { id } of unused) {
    const params = [String(id)];
    await sql('DELETE FROM mailboxes WHERE id = $1', params);
    await sql('DELETE FROM entries WHERE mailbox = $1', params);
    await sql('DELETE FROM fences WHERE mailbox = $1', params);
  }
  return unused.length;
}
