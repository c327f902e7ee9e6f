import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from './errors.ts';
import { fromProblem, problemFor, toProblem } from './problem.ts';

test('a problem has the members of RFC 9457, its code, and extensions', () => {
  assert.deepEqual(problemFor('unroutable', 'no such type', { event_id: 'e-1' }), {
    type: 'urn:waybill:problem:unroutable',
    title: 'Events of this type are not taken',
    status: 404,
    detail: 'no such type',
    code: 'unroutable',
    event_id: 'e-1',
  });
});

test('a problem of another tier becomes the error it stands for', () => {
  const error = fromProblem(problemFor('unroutable', 'no such type'), 'not-accepted');
  assert.deepEqual([error.code, error.message], ['unroutable', 'no such type']);
  assert.equal(fromProblem(problemFor('unroutable'), 'not-accepted').message, problemFor('unroutable').title);
});

test('a code that this version does not know becomes the one given', () => {
  for (const code of ['new-code', 'toString', '__proto__', '']) {
    const error = fromProblem({ ...problemFor('unexpected', 'why'), code }, 'not-accepted');
    assert.deepEqual([error.code, error.status, error.message], ['not-accepted', 503, 'why']);
  }
});

test('the problem of an error has its message and its extensions, and tells nothing of its cause', () => {
  const error = new AppError('unauthorized', 'too late', {
    cause: 'canary',
    extensions: { clock_skew_ms: -5 },
  });
  const problem = problemFor('unauthorized', 'too late', { clock_skew_ms: -5, event_id: 'e-1' });
  assert.deepEqual(toProblem(error, { event_id: 'e-1' }), problem);
});
