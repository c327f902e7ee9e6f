import type { Sql } from './database.ts';
import type { Mailbox } from './mailbox-rows.ts';
import type { TextPage } from './mailboxes.ts';
import { type Start, startAfter, toToken } from './token.ts';

/** What is read at once: the answer to a call has 1 MiB at the most, and holds at least one event. */
const PAGE_ENTRIES = 256;
export const PAGE_BYTES = 512 * 1024;

/** Bytes that are left of a page, which several mailboxes may share: whoever is the first to have an event gets one at least. */
type PageRoom = { leftBytes: number };

/** That of a whole page. */
const newPageRoom = (): PageRoom => ({ leftBytes: PAGE_BYTES });

/** Reads what comes after the token, which acknowledges what is up to it; or `beyond` an offset, which does not. */
export async function readPage(
  sql: Sql,
  mailbox: Mailbox,
  { after, beyond }: { after?: string | undefined; beyond?: number | undefined },
): Promise<TextPage> {
  const isBeyond = beyond !== undefined;
  const start = startAfter(mailbox, isBeyond ? toToken(mailbox.epoch, beyond) : after);
  if (!isBeyond) await trim(sql, [{ mailbox, offset: start.offset }]);
  const [page] = await readPages(sql, [{ mailbox, start }]);
  return page as TextPage;
}

/** What follows each start, as many as fit one page in all, by as few statements as for one mailbox. */
export async function readPages(
  sql: Sql,
  asked: readonly { mailbox: Mailbox; start: Start }[],
): Promise<TextPage[]> {
  const room = newPageRoom();
  const ranges: Range[] = [];
  for (const { mailbox, start } of asked) ranges.push(await takeRoom(sql, mailbox, start.offset, room));
  const entries = await readRanges(sql, ranges);
  return asked.map(({ mailbox, start: { gap } }, index) => {
    const { id, epoch, head, trimmed } = mailbox;
    return { mailbox: id, epoch, head, trimmed, ...(gap && { gap }), entries: entries[index] ?? [] };
  });
}

/** Entries behind an offset, up to one. */
type Range = { mailbox: string; offset: number; last: number };

/** Events that find no room are never read: each may be as large as a page, or larger. */
async function takeRoom(sql: Sql, mailbox: Mailbox, offset: number, room: PageRoom): Promise<Range> {
  const { id, head, bytes } = mailbox;
  if (offset >= head) return { mailbox: id, offset, last: offset };
  const last = bytes <= room.leftBytes ? takeAll(mailbox, room) : await takeSome(sql, id, offset, room);
  return { mailbox: id, offset, last: Math.min(last ?? offset, offset + PAGE_ENTRIES) };
}

/** The entries of each range; offsets have no gaps, so their number is known. */
async function readRanges(sql: Sql, ranges: readonly Range[]): Promise<TextPage['entries'][]> {
  const some = ranges.filter(({ offset, last }) => last > offset);
  if (some.length === 0) return [];
  const terms = some.map((_, index) => {
    const [mailbox, offset, last] = [1, 2, 3].map((n) => `$${3 * index + n}`);
    return `(mailbox = ${mailbox} AND position > ${offset} AND position <= ${last})`;
  });
  const rows = await sql(
    `SELECT mailbox, position, event FROM entries WHERE ${terms.join(' OR ')} ORDER BY mailbox, position`,
    some.flatMap(({ mailbox, offset, last }) => [mailbox, offset, last]),
  );
  const found = Map.groupBy(rows, ({ mailbox }) => String(mailbox));
  return ranges.map(({ mailbox, offset, last }) =>
    (found.get(mailbox) ?? [])
      .map(({ position, event }) => ({ offset: Number(position), event: String(event) }))
      .filter((entry) => entry.offset > offset && entry.offset <= last),
  );
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

/** Removes the entries of mailboxes up to each offset, by one statement; resolves with how many there were. */
export async function trim(sql: Sql, upTo: readonly { mailbox: Mailbox; offset: number }[]): Promise<number> {
  const some = upTo.filter(({ mailbox, offset }) => offset > mailbox.trimmed);
  if (some.length === 0) return 0;
  const terms = some.map((_, index) => `(mailbox = $${2 * index + 1} AND position <= $${2 * index + 2})`);
  const removed = await sql(
    `DELETE FROM entries WHERE ${terms.join(' OR ')} RETURNING mailbox, bytes`,
    some.flatMap(({ mailbox, offset }) => [mailbox.id, offset]),
  );
  const mailboxes = new Map(some.map(({ mailbox }) => [mailbox.id, mailbox]));
  for (const { mailbox, offset } of some) mailbox.trimmed = Math.max(mailbox.trimmed, offset);
  for (const { mailbox: id, bytes } of removed) {
    const mailbox = mailboxes.get(String(id)) as Mailbox;
    mailbox.entries -= 1;
    mailbox.bytes -= Number(bytes);
  }
  return removed.length;
}
