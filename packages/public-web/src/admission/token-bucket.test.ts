import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createTokenBucket } from './token-bucket.ts';

/** A bucket, and a clock that the test moves. */
function create(options: { rate: number; burst?: number }) {
  const clock = { nowMs: 1_000 };
  return { clock, bucket: createTokenBucket({ ...options, nowMs: () => clock.nowMs }) };
}

describe('a token bucket', () => {
  it('gives its burst at once, and then says how long the next takes', () => {
    const { bucket } = create({ rate: 2, burst: 3 });
    assert.deepEqual([bucket.take(1), bucket.take(2), bucket.take(1)], [0, 0, 500]);
  });

  it('gives what has flowed in since, and no more than its burst', () => {
    const { bucket, clock } = create({ rate: 2, burst: 3 });
    bucket.take(3);
    clock.nowMs += 500;
    assert.deepEqual([bucket.take(1), bucket.take(1)], [0, 500]);
    clock.nowMs += 60_000;
    assert.deepEqual([bucket.take(3), bucket.take(1)], [0, 500]);
  });

  it('has a burst of one second by default, and of one at least', () => {
    assert.deepEqual([create({ rate: 5 }).bucket.take(5), create({ rate: 0.1 }).bucket.take(1)], [0, 0]);
    const { bucket } = create({ rate: 0.1 });
    bucket.take(1);
    assert.equal(bucket.take(1), 10_000);
  });

  it('gives more than ever fit when it is full, and then the debt is waited for', () => {
    const { bucket, clock } = create({ rate: 10, burst: 10 });
    assert.deepEqual([bucket.take(1), bucket.take(100, 1)], [0, 0]);
    assert.equal(bucket.take(1), 9_100);
    clock.nowMs += 9_100;
    assert.equal(bucket.take(1), 0);
    assert.ok(bucket.take(100, 1) > 0);
  });

  it('never gives more than its burst, its rate and one debt allow, whatever is asked when', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 1, max: 20 })));
    fc.assert(
      fc.property(steps, (asked) => {
        const { bucket, clock } = create({ rate: 5, burst: 8 });
        let given = 0;
        for (const [waitMs, count] of asked) {
          clock.nowMs += waitMs;
          if (bucket.take(count) === 0) given += count;
        }
        assert.ok(given <= 8 + 5 * ((clock.nowMs - 1_000) / 1_000) + 20 - 8 + 1e-6);
      }),
      { seed: 7 },
    );
  });
});
