import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backOff, backOffMs } from './back-off.ts';

const bounds = fc.record({
  baseMs: fc.integer({ min: 1, max: 10_000 }),
  capMs: fc.integer({ min: 1, max: 60_000 }),
});
/** Many failures too: an hour of an outage. */
const failures = fc.integer({ min: 1, max: 10_000 });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('a wait is never longer than the cap, nor than the base doubled with each failure after the first', () => {
  fc.assert(
    fc.property(failures, bounds, (failures, bounds) => {
      const waitMs = backOffMs(failures, bounds);
      assert(waitMs >= 0 && waitMs < bounds.capMs, `${waitMs} ms`);
      assert(waitMs < bounds.baseMs * 2 ** (failures - 1), `${waitMs} ms`);
    }),
    { numRuns: 1_000 },
  );
});

test('the longest wait grows with each failure until it is the cap, or a thousand times the base', () => {
  fc.assert(
    fc.property(failures, bounds, (failures, bounds) => {
      const [longestMs, nextMs] = [failures, failures + 1].map((count) => backOffMs(count, bounds, 1));
      assert((nextMs as number) >= (longestMs as number));
      const isLongest = longestMs === bounds.capMs || longestMs === bounds.baseMs * 1_024;
      assert(isLongest || nextMs === Math.min(bounds.capMs, 2 * (longestMs as number)));
    }),
  );
});

test('a wait is any part of the longest, so that many that failed together come back apart', () => {
  fc.assert(
    fc.property(failures, bounds, random, (failures, bounds, random) => {
      assert.equal(backOffMs(failures, bounds, random), random * backOffMs(failures, bounds, 1));
    }),
  );
});

test('a wait whose signal aborts, before or meanwhile, ends at once and does not reject', async () => {
  const hour = { baseMs: 3_600_000, capMs: 3_600_000 };
  await backOff(1, { ...hour, signal: AbortSignal.abort() });
  const controller = new AbortController();
  const waited = backOff(1, { ...hour, signal: controller.signal });
  controller.abort();
  await waited;
});
