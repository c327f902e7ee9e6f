import type { Sql } from './database.ts';
import type { Mailbox } from './mailbox-rows.ts';
import type { TextPage } from './mailboxes.ts';
import { startAfter, toToken } from './token.ts';

/** What is read at once: the answer to a call has 1 MiB at the most, and holds at least one event. */
const PAGE_ENTRIES = 256;
export const PAGE_BYTES = 512 * 1024;

/** Bytes that are left of a page, which several mailboxes may share: whoever is the first to have an event gets one at least. */
export type PageRoom = { leftBytes: number };

/** That of a whole page. */
export const newPageRoom = (): PageRoom => ({ leftBytes: PAGE_BYTES });

/** Reads what comes after the token, which acknowledges what is up to it; or `beyond` an offset, which does not. */
export async function readPage(
  sql: Sql,
  mailbox: Mailbox,
  {
    after,
    beyond,
    room = newPageRoom(),
  }: { after?: string | undefined; beyond?: number | undefined; room?: PageRoom | undefined },
): Promise<TextPage> {
  const { offset, gap } =
    beyond === undefined ? startAfter(mailbox, after) : startAfter(mailbox, toToken(mailbox.epoch, beyond));
  if (beyond === undefined) await trim(sql, mailbox, offset);
  const { id, epoch, head, trimmed } = mailbox;
  const entries = offset < head ? await readEntries(sql, mailbox, offset, room) : [];
  return { mailbox: id, epoch, head, trimmed, ...(gap && { gap }), entries };
}

/** Events that find no room are never read: each may be as large as a page, or larger. */
async function readEntries(
  sql: Sql,
  mailbox: Mailbox,
  offset: number,
  room: PageRoom,
): Promise<TextPage['entries']> {
  const { id, bytes } = mailbox;
  const last = bytes <= room.leftBytes ? takeAll(mailbox, room) : await takeSome(sql, id, offset, room);
  if (last === undefined) return [];
  const rows = await sql(
    `SELECT position, event FROM entries WHERE mailbox = $1 AND position > $2 AND position <= $3
     ORDER BY position LIMIT $4`,
    [id, offset, last, PAGE_ENTRIES],
  );
  return rows.map(({ position, event }) => ({ offset: Number(position), event: String(event) }));
}

function takeAll({ head, bytes }: Mailbox, room: PageRoom): number {
  room.leftBytes -= bytes;
  return head;
}

/** Takes the room of as many as fit; resolves with the offset of the last. Where one does not, nobody gets any more of this page. */
async function takeSome(sql: Sql, id: string, offset: number, room: PageRoom): Promise<number | undefined> {
  if (room.leftBytes <= 0) return undefined;
  const rows = await sql(
    'SELECT position, bytes FROM entries WHERE mailbox = $1 AND position > $2 ORDER BY position LIMIT $3',
    [id, offset, PAGE_ENTRIES],
  );
  let last: number | undefined;
  for (const { position, bytes } of rows) {
    const isFirst = room.leftBytes === PAGE_BYTES;
    room.leftBytes -= Number(bytes);
    if (room.leftBytes < 0 && !isFirst) break;
    last = Number(position);
  }
  return last;
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
