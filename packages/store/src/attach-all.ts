/** Clients that attach together at one public-web: after a cut, thousands of them do. */
import { AppError } from '@waybill/common/errors.ts';
import type { AttachingClient, Holder } from '@waybill/common/internal-call/store-calls.ts';
import { toProblem } from '@waybill/common/problem.ts';
import type { AttachedText, Mailboxes } from './mailboxes.ts';
import { pageText } from './page-text.ts';
import { PAGE_BYTES } from './read-page.ts';

/**
 * Attaches each by itself, all at once; resolves with what becomes of each, in their order, as JSON. Their entries are those of
 * one page in all: whoever has none of its own reads them.
 *
 * @throws AppError what is wrong with none of them, such as a database that fails. Some may have been attached then.
 */
export async function attachAll(
  mailboxes: Pick<Mailboxes, 'attach'>,
  {
    clients,
    holder,
    deadlineMs,
  }: { clients: readonly AttachingClient[]; holder: Holder; deadlineMs: number },
): Promise<string[]> {
  const attached = await Promise.allSettled(
    clients.map((client) => mailboxes.attach({ ...client, holder, deadlineMs })),
  );
  let bytes = 0;
  return attached.map((each) => {
    if (each.status === 'rejected') return JSON.stringify({ problem: toProblem(ownFault(each.reason)) });
    bytes += bytesOf(each.value);
    const isFitting = bytes <= PAGE_BYTES || bytes === bytesOf(each.value);
    return pageText(isFitting ? each.value : { ...each.value, entries: [] });
  });
}

function ownFault(error: unknown): AppError {
  if (error instanceof AppError && error.code === 'invalid-request') return error;
  throw error;
}

function bytesOf({ entries }: AttachedText): number {
  return entries.reduce((bytes, { event }) => bytes + Buffer.byteLength(event), 0);
}
