import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AppError, toAppError, UNREADABLE } from './errors.ts';

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

test('an AppError keeps its data, and is itself to toAppError', () => {
  const cause = new Error('cause');
  const error = new AppError('too-large', 'message', {
    cause,
    extensions: { max_bytes: 5 },
    retryAfterMs: 1_500,
  });
  const { extensions, retryAfterMs } = error;
  assert.equal(error.cause, cause);
  assert.deepEqual({ extensions, retryAfterMs }, { extensions: { max_bytes: 5 }, retryAfterMs: 1_500 });
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
