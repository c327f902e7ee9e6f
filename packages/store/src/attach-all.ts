/** Clients that attach together at one public-web: after a cut, thousands of them do. */
import { AppError } from '@waybill/common/errors.ts';
import { toProblem } from '@waybill/common/problem.ts';
import type { Mailboxes } from './mailboxes.ts';
import { pageText } from './page-text.ts';

/**
 * Attaches all; resolves with what becomes of each, in their order, as JSON. Their entries are those of one page in all: whoever has none
 * of its own reads them.
 *
 * @throws AppError what is wrong with none of them, such as a database that fails: then none is attached.
 */
export async function attachAll(
  mailboxes: Pick<Mailboxes, 'attachAll'>,
  options: Parameters<Mailboxes['attachAll']>[0],
): Promise<string[]> {
  const attached = await mailboxes.attachAll(options);
  return attached.map((each) =>
    each instanceof AppError ? JSON.stringify({ problem: toProblem(each) }) : pageText(each),
  );
}
