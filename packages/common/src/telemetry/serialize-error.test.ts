import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { UNREADABLE } from '../errors.ts';
import { serializeError } from './serialize-error.ts';

/** The line that a logger writes of `thrown`. */
function lineOf(thrown: unknown): { level: number; err?: Record<string, unknown> } {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  pino({ serializers: { err: serializeError } }, { write }).warn({ err: thrown }, 'failed');
  return JSON.parse(lines.join(''));
}

test('an error is logged with its type, message and stack, and those of its cause', () => {
  const { err } = lineOf(new TypeError('outer', { cause: new Error('inner') }));
  assert.deepEqual([err?.type, err?.message], ['TypeError', 'outer: inner']);
  assert.match(String(err?.stack), /TypeError: outer[\s\S]*caused by: Error: inner/);
});

test('an error that takes no mark is logged with its type, message and stack', () => {
  for (const fix of [Object.freeze, Object.seal, Object.preventExtensions]) {
    const { err } = lineOf(fix(new TypeError('fixed')));
    assert.deepEqual([err?.type, err?.message], ['TypeError', 'fixed']);
    assert.match(String(err?.stack), /^TypeError: fixed\n +at /);
  }
});

test('what can be read of an error is logged, when other parts of it cannot', () => {
  const get = () => assert.fail();
  const { err } = lineOf(Object.defineProperty(new Error('half'), 'stack', { get }));
  assert.deepEqual(err, { type: 'Error', message: 'half', stack: UNREADABLE });
});

test('anything at all leaves its line', () => {
  const refuses = new Proxy(new Error('x'), {
    get: () => assert.fail(),
    getPrototypeOf: () => assert.fail(),
  });
  assert.equal(lineOf(refuses).err?.message, UNREADABLE);
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (thrown) => {
      assert.equal(lineOf(thrown).level, 40);
    }),
  );
});
