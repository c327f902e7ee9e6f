import type { Sql } from './database.ts';
import type { Mailbox } from './mailbox-rows.ts';
import type { TextPage } from './mailboxes.ts';
import { startAfter, toToken } from './token.ts';

/** What is read at once: the answer to a call has 1 MiB at the most, and holds at least one event. */
const PAGE_ENTRIES = 256;
export const PAGE_BYTES = 512 * 1024;

/** Reads what comes after the token, which acknowledges what is up to it; or `beyond` an offset, which does not. */
export async function readPage(
  sql: Sql,
  mailbox: Mailbox,
  { after, beyond }: { after?: string | undefined; beyond?: number | undefined },
): Promise<TextPage> {
  const { offset, gap } =
    beyond === undefined ? startAfter(mailbox, after) : startAfter(mailbox, toToken(mailbox.epoch, beyond));
  if (beyond === undefined) await trim(sql, mailbox, offset);
  const { id, epoch, head, trimmed } = mailbox;
  const rows = await sql(
    'SELECT position, event, bytes FROM entries WHERE mailbox = $1 AND position > $2 ORDER BY position LIMIT $3',
    [id, offset, PAGE_ENTRIES],
  );
  let bytes = 0;
  const fitting = rows.filter((row, index) => {
    bytes += Number(row.bytes);
    return index === 0 || bytes <= PAGE_BYTES;
  });
  const entries = fitting.map(({ position, event }) => ({ offset: Number(position), event: String(event) }));
  return { mailbox: id, epoch, head, trimmed, ...(gap && { gap }), entries };
}

/** Removes the entries up to `offset`; resolves with how many there were. */
export async function trim(sql: Sql, mailbox: Mailbox, offset: number): Promise<number> {
  if (offset <= mailbox.trimmed) return 0;
  const removed = await sql('DELETE FROM entries WHERE mailbox = $1 AND position <= $2 RETURNING bytes', [
    mailbox.id,
    offset,
  ]);
  mailbox.trimmed = offset;
  mailbox.entries -= removed.length;
  for (const { bytes } of removed) mailbox.bytes -= Number(bytes);
  return removed.length;
}
