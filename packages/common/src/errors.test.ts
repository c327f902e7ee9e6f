import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AppError, fromProblem, toAppError, toProblem, UNREADABLE } from './errors.ts';

test('a code gives its status and whether to retry', () => {
  const facts = (
    ['invalid-request', 'rate-limited', 'not-accepted', 'outcome-unknown', 'handler-failed'] as const
  ).map((code) => {
    const { status, kind } = new AppError(code, 'message');
    return [code, status, kind];
  });
  assert.deepEqual(facts, [
    ['invalid-request', 400, 'terminal'],
    ['rate-limited', 429, 'retry'],
    ['not-accepted', 503, 'retry'],
    ['outcome-unknown', 504, 'retry'],
    ['handler-failed', 502, 'terminal'],
  ]);
});

test('an AppError keeps its cause and is itself to toAppError', () => {
  const cause = new Error('cause');
  const error = new AppError('too-large', 'message', { cause });
  assert.equal(error.cause, cause);
  assert.equal(toAppError(error), error);
  assert.match(String(error), /^AppError: message$/);
});

test('anything else thrown becomes unexpected, with its cause', () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (thrown) => {
      const error = toAppError(thrown);
      assert(error instanceof AppError);
      assert.deepEqual([error.code, error.status, error.kind], ['unexpected', 500, 'retry']);
      assert(Object.is(error.cause, thrown));
    }),
  );
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assert.equal(toAppError(proxy).message, UNREADABLE);
  assert.equal(toAppError(new TypeError('why')).message, 'why');
  assert.equal(toAppError('why').message, 'why');
  assert.equal(toAppError(null).message, '[object Null]');
});

test('a problem has the members of RFC 9457, its code, and extensions', () => {
  assert.deepEqual(toProblem('unroutable', 'no such type', { event_id: 'e-1' }), {
    type: 'urn:waybill:problem:unroutable',
    title: 'Events of this type are not taken',
    status: 404,
    detail: 'no such type',
    code: 'unroutable',
    event_id: 'e-1',
  });
});

test('a problem of another tier becomes the error it stands for', () => {
  const error = fromProblem(toProblem('unroutable', 'no such type'), 'not-accepted');
  assert.deepEqual([error.code, error.message], ['unroutable', 'no such type']);
  assert.equal(fromProblem(toProblem('unroutable'), 'not-accepted').message, toProblem('unroutable').title);
});

test('a code that this version does not know becomes the one given', () => {
  for (const code of ['new-code', 'toString', '__proto__', '']) {
    const error = fromProblem({ ...toProblem('unexpected', 'why'), code }, 'not-accepted');
    assert.deepEqual([error.code, error.status, error.message], ['not-accepted', 503, 'why']);
  }
});
