/** Tokens: `<epoch>.<offset>`, by which a client says how far it has come. */
import { AppError } from '@waybill/common/errors.ts';
import type { Mailbox } from './mailbox-rows.ts';

const TOKEN = /^([0-9a-z]{1,32})\.(\d{1,15})$/;

/** The token of an offset. */
export function toToken(epoch: string, offset: number): string {
  return `${epoch}.${offset}`;
}

/** Where reading begins: after this offset; and what is missing before it, if anything. */
export type Start = { offset: number; gap?: { from: string; to: string } };

/**
 * Where a client goes on that has come as far as the token `after`; without one, at the oldest that is kept.
 *
 * @throws AppError `invalid-request`
 */
export function startAfter(
  { epoch, head, trimmed }: Pick<Mailbox, 'epoch' | 'head' | 'trimmed'>,
  after: string | undefined,
): Start {
  if (after === undefined) return { offset: trimmed };
  const [, givenEpoch, digits] = TOKEN.exec(after) ?? [];
  if (givenEpoch === undefined)
    throw new AppError('invalid-request', 'after is no token of a mailbox (<epoch>.<offset>)');
  const offset = Number(digits);
  if (givenEpoch === epoch && offset >= trimmed && offset <= head) return { offset };
  return { offset: trimmed, gap: { from: after, to: toToken(epoch, trimmed) } };
}
