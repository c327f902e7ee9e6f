import { setImmediate } from 'node:timers/promises';
import type { Sql } from './database.ts';
import { loadMailboxes, saveMailboxes } from './mailbox-rows.ts';
import { trim } from './read-page.ts';

/** Entries, mailboxes or answers that are removed in one transaction: others wait for it. */
export const MAX_AT_ONCE = 500;

/**
 * Runs `removeSome`, each time one transaction, until one removes less than {@link MAX_AT_ONCE} or `isStopping`; resolves with how
 * many are gone.
 */
export async function removeAll(
  removeSome: () => Promise<number>,
  isStopping: () => boolean = () => false,
): Promise<number> {
  let all = 0;
  while (!isStopping()) {
    const removed = await removeSome();
    all += removed;
    if (removed < MAX_AT_ONCE) break;
    // SQLite never waits, so without this nobody else would get a turn in between.
    await setImmediate();
  }
  return all;
}

/** Trims the mailboxes that hold the oldest entries, if those were added before then; resolves with how many are gone. */
export async function trimOld(
  sql: Sql,
  { beforeMs, nowMs, lockRows }: { beforeMs: number; nowMs: number; lockRows: string },
): Promise<number> {
  const old = await sql(
    `SELECT mailbox, MAX(position) AS position FROM
       (SELECT mailbox, position FROM entries WHERE added_ms < $1 AND position IS NOT NULL ORDER BY added_ms LIMIT $2) AS oldest
     GROUP BY mailbox`,
    [beforeMs, MAX_AT_ONCE],
  );
  const ids = old.map(({ mailbox }) => String(mailbox));
  const mailboxes = await loadMailboxes(sql, ids, lockRows);
  const upTo = old.flatMap(({ mailbox: id, position }) => {
    const mailbox = mailboxes.get(String(id));
    return mailbox ? [{ mailbox, offset: Number(position) }] : [];
  });
  const removed = await trim(sql, upTo);
  await saveMailboxes(sql, [...mailboxes.values()], nowMs);
  return removed;
}

/** Removes mailboxes that nobody has used since, with all that is in them; resolves with how many. */
export async function removeUnused(
  sql: Sql,
  { beforeMs, lockRows }: { beforeMs: number; lockRows: string },
): Promise<number> {
  const rows = await sql('SELECT id FROM mailboxes WHERE used_ms < $1 LIMIT $2', [beforeMs, MAX_AT_ONCE]);
  const ids = rows.map(({ id }) => String(id));
  const mailboxes = await loadMailboxes(sql, ids, lockRows);
  // Until it was locked, another process may have used it.
  const unused = [...mailboxes.values()].filter(({ usedMs }) => usedMs < beforeMs);
  for (const { id } of unused) {
    const params = [id];
    await sql('DELETE FROM mailboxes WHERE id = $1', params);
    await sql('DELETE FROM entries WHERE mailbox = $1', params);
    await sql('DELETE FROM fences WHERE mailbox = $1', params);
  }
  return unused.length;
}
