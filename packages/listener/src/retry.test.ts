import assert from 'node:assert/strict';
import { it } from 'node:test';
import { retryDelayMs } from './retry.ts';

it('an event waits 200 ms, 1 s and 5 s before its next attempts, and 5 s before each further one', () => {
  assert.deepEqual([1, 2, 3, 4, 100].map(retryDelayMs), [200, 1_000, 5_000, 5_000, 5_000]);
});
