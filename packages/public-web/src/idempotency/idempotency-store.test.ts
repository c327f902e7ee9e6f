import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryIdempotencyStore, type IdempotencyEntry } from './idempotency-store.ts';
import { idempotencyStoreContract } from './idempotency-store-contract.fixture.ts';
import { keptUnder } from './kept-under.ts';

idempotencyStoreContract('memory', (windowMs) => createMemoryIdempotencyStore({ windowMs, maxKeys: 100 }));

describe('the store of answers in memory', () => {
  it('has an answer for the window, counted from when it was kept and not from when it was asked for', () => {
    let now = 1;
    const store = createMemoryIdempotencyStore({ windowMs: 1_000, maxKeys: 10, nowMs: () => now });
    store.keep('key', entry());
    now += 900;
    assert.deepEqual(store.claim('key', entry('other')), entry());
    now += 101;
    assert.equal(store.read('key'), undefined);
  });

  it('forgets, beyond maxKeys, what was asked for longest ago', () => {
    const store = createMemoryIdempotencyStore({ windowMs: 60_000, maxKeys: 2 });
    store.keep('a', entry());
    store.keep('b', entry());
    store.claim('a', entry());
    store.keep('c', entry());
    assert.deepEqual(
      ['a', 'b', 'c'].map((key) => store.read(key) !== undefined),
      [true, false, true],
    );
  });

  it('has an API key that uses many forget its own, and those of no other', () => {
    const store = createMemoryIdempotencyStore({ windowMs: 60_000, maxKeys: 3 });
    const mine = keptUnder('shop', 'mine');
    store.keep(mine, entry());
    const theirs = [1, 2, 3, 4].map((n) => keptUnder('flood', `${n}`));
    for (const key of theirs) store.keep(key, entry());
    assert.deepEqual(
      [mine, ...theirs].map((key) => store.read(key) !== undefined),
      [true, false, false, true, true],
    );
  });

  it('holds 64 MiB of answers at the most', () => {
    const store = createMemoryIdempotencyStore({ windowMs: 60_000, maxKeys: 1_000 });
    const body = Buffer.alloc(1024 * 1024);
    const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`);
    for (const key of keys) store.keep(key, entry('f', body));
    const held = keys.filter((key) => store.read(key));
    assert.deepEqual(held, keys.slice(-63));
  });
});

function entry(fingerprint = 'f', body: string | Buffer = ''): IdempotencyEntry {
  return { fingerprint, answer: { status: 200, headers: {}, body } };
}
