import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { AppError, toAppError } from './errors.ts';
import { fromProblem, problemFor } from './problem.ts';
import { toPublicError } from './public-error.ts';

function listen() {
  const lines: Record<string, unknown>[] = [];
  return { log: pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }), lines };
}

test('an error of ours is told as it is, and not logged', () => {
  const { log, lines } = listen();
  for (const error of [
    new AppError('too-large', 'too large'),
    fromProblem(problemFor('unexpected', 'see my log'), 'not-accepted'),
  ])
    assert.equal(toPublicError(error, log), error);
  assert.deepEqual(lines, []);
});

for (const [what, thrown] of [
  ['an error', new TypeError('canary')],
  ['a text', 'canary'],
  ['nothing', undefined],
  ['an object without a prototype', Object.create(null, { canary: { value: 1 } })],
  ['what toAppError made of it', toAppError(new Error('canary'))],
] as const)
  test(`${what} becomes unexpected, tells nothing, and is logged`, () => {
    const { log, lines } = listen();
    const error = toPublicError(thrown, log, { event_id: 'e-1' });
    assert.equal(error.code, 'unexpected');
    assert.doesNotMatch(error.message, /canary/);
    assert.equal(error.cause, thrown);
    assert.deepEqual(
      lines.map(({ level, msg, event_id }) => ({ level, msg, event_id })),
      [{ level: 50, msg: 'unexpected error', event_id: 'e-1' }],
    );
  });

test('its stack is in the log, once, also where it fails a whole batch and passes two boundaries', () => {
  const { log, lines } = listen();
  const thrown = new Error('canary');
  const [first, second] = [toPublicError(thrown, log), toPublicError(thrown, log)];
  assert.equal(first, second);
  assert.equal(toPublicError(first, log), first);
  assert.equal(lines.length, 1);
  assert.match(JSON.stringify(lines[0]?.err), /canary.*public-error\.test\.ts/);
});
