import { isErrorCode } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { isForeignProblemType, isProblemOf, type Problem, problemFor } from '@waybill/common/problem.ts';

/**
 * The problem a listener replied with, as far as it is one. Either it is that the data was invalid, and no handler has seen
 * the event (`invalid-data`); or its handler has refused it, with a code of its own; or the event has run, whatever it says: its code is `handler-failed`, its type (and the title
 * that goes with it) none of ours, and its status none that invites clients to send the event again.
 */
export function toClientProblem({ data }: CloudEvent, eventId: string): Problem {
  const problem = problemFor('handler-failed', undefined, { event_id: eventId });
  if (typeof data !== 'object' || data === null) return problem;
  const given = data as Partial<Problem>;
  if (isProblemOf('invalid-data', given))
    return problemFor('invalid-data', given.detail, { errors: given.errors, event_id: eventId });
  if (isOfHandler(given)) return { ...given, title: given.title ?? given.code, event_id: eventId };
  const isTheirs = given.type === undefined || isForeignProblemType(given.type);
  const { type, title } = isTheirs ? { ...problem, ...given } : problem;
  const status = toClientStatus(given.status) ?? problem.status;
  return { ...problem, ...given, type, title, status, code: problem.code, event_id: eventId };
}

/** Whether it is what a handler refused the event with: its code and status are the handler's, and none of ours. */
function isOfHandler(given: Partial<Problem>): given is Problem {
  const { type, status, code } = given;
  if (typeof code !== 'string' || code === '' || isErrorCode(code)) return false;
  return (
    isForeignProblemType(type) && (status === 429 || toClientStatus(status) === status) && status !== 502
  );
}

/** What clients take for a reason to send the same again: by RFC 9110 (408, 421, 503), 8470 (425), 6585 (429), or by custom (504). */
const INVITING_RETRIES: readonly unknown[] = [408, 421, 425, 429, 503, 504];

function toClientStatus(status: unknown): number | undefined {
  const isError = Number.isInteger(status) && Number(status) >= 400 && Number(status) <= 599;
  return isError && !INVITING_RETRIES.includes(status) ? Number(status) : undefined;
}
