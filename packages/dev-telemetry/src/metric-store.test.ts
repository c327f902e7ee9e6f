import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetricStore } from './metric-store.ts';

test('what was counted stays when its process is gone, and what was measured of it does not', () => {
  let nowMs = 0;
  const store = createMetricStore({ nowMs: () => nowMs });
  const series = { unit: '', labels: { instance: '1' }, value: 1 };
  store.keep({ ...series, name: 'counted', kind: 'counter' });
  store.keep({ ...series, name: 'measured', kind: 'gauge' });
  assert.deepEqual(
    store.read().map(({ name }) => name),
    ['counted', 'measured'],
  );
  nowMs = 20_001;
  assert.deepEqual(
    store.read().map(({ name }) => name),
    ['counted'],
  );
});

test('beyond 10,000 series those are forgotten that were exported longest ago', () => {
  const store = createMetricStore();
  const keep = (instance: string) =>
    store.keep({ name: 'counted', kind: 'counter', unit: '', labels: { instance }, value: 1 });
  for (let made = 0; made < 10_000; made += 1) keep(`${made}`);
  keep('0');
  keep('new');
  const instances = store.read().map(({ labels }) => labels.instance);
  assert.equal(instances.length, 10_000);
  assert.deepEqual([instances[0], ...instances.slice(-2)], ['2', '0', 'new']);
});
