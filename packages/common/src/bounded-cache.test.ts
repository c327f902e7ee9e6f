import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createBoundedCache } from './bounded-cache.ts';

for (const maxEntries of [Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])
  it(`a cache may be allowed ${maxEntries} entries`, () => {
    const cache = createBoundedCache<object>({ windowMs: 60_000, maxEntries, bytesOf: () => 256 });
    cache.set('a', {});
    assert.deepEqual(cache.get('a'), {});
  });

it('a cache that is full forgets what was asked for longest ago, of whoever has most', () => {
  const ownerOf = (key: string) => key.charAt(0);
  const cache = createBoundedCache<object>({ windowMs: 60_000, maxEntries: 4, bytesOf: () => 1, ownerOf });
  const held = (...keys: string[]) => keys.filter((key) => cache.get(key));
  for (const key of ['a1', 'b1', 'b2', 'b3', 'b4', 'b5']) cache.set(key, {});
  assert.deepEqual(held('a1', 'b1', 'b2', 'b3', 'b4', 'b5'), ['a1', 'b3', 'b4', 'b5']);
  for (const key of ['c1', 'd1']) cache.set(key, {});
  assert.deepEqual(held('a1', 'b3', 'b4', 'b5', 'c1', 'd1'), ['a1', 'b5', 'c1', 'd1']);
  // All have the same.
  cache.set('e1', {});
  assert.deepEqual(held('a1', 'b5', 'c1', 'd1', 'e1'), ['b5', 'c1', 'd1', 'e1']);
  cache.delete('e1');
  cache.set('f1', {});
  assert.deepEqual(held('b5', 'c1', 'd1', 'e1', 'f1'), ['b5', 'c1', 'd1', 'f1']);
});

it('a cache holds 64 MiB of all owners, and one with little of it keeps what it has', () => {
  const bytesOf = (value: { bytes: number }) => value.bytes;
  const ownerOf = (key: string) => key.charAt(0);
  const cache = createBoundedCache({ windowMs: 60_000, maxEntries: 1_000, bytesOf, ownerOf });
  cache.set('a', { bytes: 1 });
  for (let n = 0; n < 100; n += 1) cache.set(`b${n}`, { bytes: 1024 * 1024 });
  assert.ok(cache.get('a'));
  const held = Array.from({ length: 100 }, (_, n) => n).filter((n) => cache.get(`b${n}`));
  assert.deepEqual([held.length, held[0]], [63, 37]);
});

it('a cache forgets what is over, and has room for as much again', () => {
  let now = 1;
  const options = { windowMs: 10, maxEntries: 2, bytesOf: () => 1, nowMs: () => now };
  const cache = createBoundedCache<object>(options);
  for (const key of ['a', 'b']) cache.set(key, {});
  now = 12;
  assert.equal(cache.get('a'), undefined);
  for (const key of ['c', 'd']) cache.set(key, {});
  assert.ok(cache.get('c') && cache.get('d'));
});
