import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadDispatcherConfig } from './config.ts';

const required = { AMQP_URL: 'amqp://localhost', INTERNAL_SECRETS: 'x'.repeat(32) };

function read(BATCH_MAX_BY_TYPE: string): Map<string, number> {
  return loadDispatcherConfig({ ...required, BATCH_MAX_BY_TYPE }).BATCH_MAX_BY_TYPE;
}

test('BATCH_MAX_BY_TYPE takes <type>=<count> pairs alone', () => {
  const pairs = [
    ['A', 1],
    ['b.c', 1024],
  ] as const;
  assert.deepEqual(read('A=1, b.c=1024'), new Map(pairs));
  for (const text of ['A', 'A=', '=5', 'A=0', 'A=1025', 'A=x', 'A=1=2', 'a b=1', 'A=1;B=2'])
    assert.throws(() => read(text), { code: 'invalid-config', message: /BATCH_MAX_BY_TYPE: / }, text);
});

test('BATCH_MAX_BY_TYPE repeats a wrong value only as far as shows which it is', () => {
  assert.throws(() => read('x'.repeat(1_000_000)), { message: /: x{40}… is not <event type>=<count>$/ });
});
