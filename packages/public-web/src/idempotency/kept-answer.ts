/** What becomes of the answer to a request with a key. */
import { problemFor } from '@waybill/common/problem.ts';
import type { KeptAnswer } from './idempotency-store.ts';

/** Room for a batch of ordinary replies, and 64 of them in memory. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** By status. A listener's own problem may have the first of these statuses, but none of these codes. */
const NOTHING_RAN: ReadonlyMap<number, readonly string[]> = new Map([
  [404, ['unroutable']],
  [429, ['rate-limited', 'mailbox-full', 'keys-full']],
  [503, ['not-accepted']],
]);

/** Whether a retry is to run. */
export function provesNothingRan({ status, body }: KeptAnswer): boolean {
  return NOTHING_RAN.get(status)?.includes(JSON.parse(String(body)).code) === true;
}

/** What is kept of it: one effect is promised even where its answer is too large to give again. */
export function toKeep(answer: KeptAnswer): KeptAnswer {
  const isSmall = Buffer.byteLength(answer.body) <= MAX_ANSWER_BYTES;
  return isSmall ? answer : answerNotKept('was too large to be kept');
}

/** Kept in place of an answer of which is known no more than that there was one. */
export function answerNotKept(reason: 'was too large to be kept' | 'found no room in the store'): KeptAnswer {
  const problem = problemFor('outcome-unknown', `it was answered, but the answer ${reason}`);
  const headers = { 'content-type': 'application/problem+json' };
  return { status: problem.status, headers, body: JSON.stringify(problem) };
}

/** The answer to a request of which is known where its reply may be found: whoever gives it again looks there. */
export function answerAt(location: string): KeptAnswer {
  const problem = problemFor(
    'outcome-unknown',
    'the instance that was at the first request has not answered it',
  );
  const headers = { 'content-type': 'application/problem+json', location };
  return { status: problem.status, headers, body: JSON.stringify({ ...problem, location }) };
}
