import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErrorCode } from '@waybill/common/errors.ts';
import { problemFor } from '@waybill/common/problem.ts';
import { provesNothingRan } from './kept-answer.ts';

const answer = (status: number, body: object) => ({ status, headers: {}, body: JSON.stringify(body) });
const problem = (code: ErrorCode) => answer(problemFor(code).status, problemFor(code));

describe('an answer', () => {
  for (const code of ['not-accepted', 'rate-limited', 'mailbox-full', 'keys-full', 'unroutable'] as const)
    it(`that is ${code} proves that nothing ran: a retry with the key is to run`, () =>
      assert.ok(provesNothingRan(problem(code))));

  for (const code of ['outcome-unknown', 'handler-failed', 'invalid-request', 'not-found'] as const)
    it(`that is ${code} is kept`, () => assert.ok(!provesNothingRan(problem(code))));

  it('in which a handler has refused an event for now is kept', () =>
    assert.ok(!provesNothingRan(answer(429, { status: 429, code: 'sold-out' }))));
});
