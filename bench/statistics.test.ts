import assert from 'node:assert/strict';
import { it } from 'node:test';
import { median, quantile } from './statistics.ts';

it('the median is the value in the middle, whatever the order', () => {
  assert.equal(median([30, 1, 2]), 2);
  assert.equal(median([7]), 7);
  assert.equal(median([10, 9]), 10);
});

it('a quantile is one of the values, the largest at most', () => {
  const values = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.equal(quantile(values, 0.99), 100);
  assert.equal(quantile(values, 0.5), 51);
  assert.equal(quantile([3, 4], 1), 4);
});

it('nothing has no quantile', () => {
  assert.ok(Number.isNaN(quantile([], 0.5)));
});
