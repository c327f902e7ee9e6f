import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Attributes, createNoopMeter, type Meter, type ObservableCallback } from '@opentelemetry/api';
import { createCounter } from './counter.ts';

/** A meter with one reader: `collect()` is one export, each observation as `[value, attributes]`. */
function collectingMeter(): { meter: Meter; collect(): [number, Attributes | undefined][] } {
  const callbacks: ObservableCallback[] = [];
  const createObservableCounter = () => ({
    addCallback: (callback: ObservableCallback) => void callbacks.push(callback),
    removeCallback() {},
  });
  return {
    meter: { ...createNoopMeter(), createObservableCounter },
    collect() {
      const observed: [number, Attributes | undefined][] = [];
      const result = {
        observe: (value: number, attributes?: Attributes) => observed.push([value, attributes]),
      };
      for (const callback of callbacks) void callback(result);
      return observed;
    },
  };
}

test('a series is 0 at its first export, whatever was counted, and has all of it from the second on', () => {
  const { meter, collect } = collectingMeter();
  const counter = createCounter(meter, 'waybill.tests', {});
  assert.deepEqual(collect(), []);
  counter.add(2, { reason: 'a' });
  assert.deepEqual(collect(), [[0, { reason: 'a' }]]);
  counter.add(1, { reason: 'a' });
  counter.add(1);
  assert.deepEqual(collect(), [
    [3, { reason: 'a' }],
    [0, {}],
  ]);
  assert.deepEqual(collect(), [
    [3, { reason: 'a' }],
    [1, {}],
  ]);
});

test('the order of attributes makes no series of its own', () => {
  const { meter, collect } = collectingMeter();
  const counter = createCounter(meter, 'waybill.tests', {});
  counter.add(1, { type: 'T', reason: 'a' });
  counter.add(1, { reason: 'a', type: 'T' });
  collect();
  assert.deepEqual(collect(), [[2, { type: 'T', reason: 'a' }]]);
});

test('has 2,000 series at the most, the last for all others', () => {
  const { meter, collect } = collectingMeter();
  const counter = createCounter(meter, 'waybill.tests', {});
  for (let reason = 0; reason < 3_000; reason++) counter.add(1, { reason });
  counter.add(1, { reason: 0 });
  collect();
  const observed = collect();
  assert.equal(observed.length, 2_000);
  assert.deepEqual(observed[0], [2, { reason: 0 }]);
  assert.deepEqual(observed.at(-1), [1_001, { 'otel.metric.overflow': true }]);
});

test('every counter of Waybill is one of these', () => {
  const instruments = readFileSync(new URL('./metrics.ts', import.meta.url), 'utf8');
  assert.doesNotMatch(instruments, /meter\.create(UpDown)?Counter/);
});
