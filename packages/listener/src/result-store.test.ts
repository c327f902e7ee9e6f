import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryResultStore } from './result-store.ts';
import { resultStoreContract } from './result-store-contract.fixture.ts';

resultStoreContract('memory', (windowMs) => createMemoryResultStore({ windowMs, maxEvents: 10 }));

describe('the store of results in memory', () => {
  it('has a result for the window, with what it calls when all is confirmed', () => {
    let now = 1;
    const store = createMemoryResultStore({ windowMs: 1_000, maxEvents: 10, nowMs: () => now });
    const result = { reply: { type: 'Answer' }, onConfirmed: () => {} };
    store.set('key', result);
    now += 999;
    assert.equal(store.get('key'), result);
    now += 2;
    assert.equal(store.get('key'), undefined);
  });

  it('forgets, beyond maxEvents, what was asked for longest ago', () => {
    const store = createMemoryResultStore({ windowMs: 60_000, maxEvents: 2 });
    for (const key of ['a', 'b']) store.set(key, {});
    store.get('a');
    store.set('c', {});
    assert.deepEqual(
      ['a', 'b', 'c'].map((key) => store.get(key) !== undefined),
      [true, false, true],
    );
  });

  it('holds 64 MiB at the most', () => {
    const store = createMemoryResultStore({ windowMs: 60_000, maxEvents: 1_000 });
    const result = { reply: { type: 'Answer', data: 'x'.repeat(512 * 1024) } };
    const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`);
    for (const key of keys) store.set(key, result);
    assert.deepEqual(
      keys.filter((key) => store.get(key)),
      keys.slice(-63),
    );
  });
});
