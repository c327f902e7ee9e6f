/** Clients that attach together at one public-web: after a cut, thousands of them do. */
import { AppError } from '@waybill/common/errors.ts';
import type { AttachingClient, Holder } from '@waybill/common/internal-call/store-calls.ts';
import { toProblem } from '@waybill/common/problem.ts';
import type { Mailboxes } from './mailboxes.ts';
import { pageText } from './page-text.ts';
import { newPageRoom } from './read-page.ts';

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
  const room = newPageRoom();
  const attached = await Promise.allSettled(
    clients.map((client) => mailboxes.attach({ ...client, holder, deadlineMs, room })),
  );
  return attached.map((each) =>
    each.status === 'fulfilled'
      ? pageText(each.value)
      : JSON.stringify({ problem: toProblem(ownFault(each.reason)) }),
  );
}

function ownFault(error: unknown): AppError {
  if (error instanceof AppError && error.code === 'invalid-request') return error;
  throw error;
}
