import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { createLostTypes } from './lost-types.ts';

/** What became of an unroutable message where the question for its type has `isDeclared` as its answer, and what was noted. */
async function judge(isDeclared: boolean | undefined) {
  const notes: string[] = [];
  const { judge } = createLostTypes({
    publisher: { isDeclared: async () => isDeclared },
    watch: { note: (what) => notes.push(what) },
    log: pino({ level: 'silent' }),
  });
  const outcomes = [await judge('a', 'unroutable'), await judge('a', 'unroutable')];
  return { outcomes, notes };
}

test('an unroutable type that a listener has declared is not accepted, and noted once', async () => {
  const notes = ['no queue takes a, which a listener has declared'];
  assert.deepEqual(await judge(true), { outcomes: ['not-accepted', 'not-accepted'], notes });
});

test('an unroutable type that none has declared is unroutable', async () => {
  assert.deepEqual(await judge(false), { outcomes: ['unroutable', 'unroutable'], notes: [] });
});

test('an unroutable type of which nobody knows is not accepted, and leaves nothing behind', async () => {
  assert.deepEqual(await judge(undefined), { outcomes: ['not-accepted', 'not-accepted'], notes: [] });
});
