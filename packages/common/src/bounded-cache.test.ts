import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createBoundedCache } from './bounded-cache.ts';

for (const maxEntries of [Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])
  it(`a cache may be allowed ${maxEntries} entries`, () => {
    const cache = createBoundedCache<object>({ windowMs: 60_000, maxEntries, bytesOf: () => 256 });
    cache.set('a', {});
    assert.deepEqual(cache.get('a'), {});
  });
