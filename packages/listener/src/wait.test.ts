import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createTestListener } from './testing/test-listener.ts';
import { MAX_DELAY_MS, type Wait, waitFor, waitOn } from './wait.ts';

/** The queues that a delay leads through. */
function queuesOf(delayMs: number): number[] {
  const queues: number[] = [];
  for (let wait: Wait | undefined = waitFor(delayMs); wait; wait = waitOn(wait)) queues.push(wait.delayMs);
  return queues;
}

describe('a delay', () => {
  it('is never shorter than asked for, at most 2% or 200 ms longer, and takes few queues', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_DELAY_MS }), (delayMs) => {
        const queues = queuesOf(delayMs);
        const waitedMs = queues.reduce((sum, each) => sum + each, 0);
        assert.ok(waitedMs >= delayMs, `${waitedMs} of ${delayMs}`);
        assert.ok(waitedMs - delayMs <= Math.max(200, delayMs / 50), `${waitedMs} of ${delayMs}`);
        assert.ok(queues.length <= 36, `${queues.length} queues`);
      }),
    );
  });

  it('that a queue has takes that queue alone', () => {
    for (const delayMs of [200, 1_000, 5_000, 30_000, 300_000, 3_600_000])
      assert.deepEqual(queuesOf(delayMs), [delayMs]);
  });

  for (const delayMs of [0, -1, 1.5, Number.NaN, MAX_DELAY_MS + 1])
    it(`cannot be ${delayMs} ms`, () => {
      assert.throws(() => waitFor(delayMs), { code: 'invalid-event' });
    });

  it('is waited for by an event, with its attempts counted from its end', async () => {
    const handled: unknown[] = [];
    const listener = await createTestListener({
      service: 'reminders',
      handlers: {
        Order: () => ({ events: [{ type: 'Remind', data: 7, delayMs: 5_400_000 }] }),
        Remind: ({ data, hops }, { attempt }) => void handled.push([data, hops, attempt]),
      },
    });
    await listener.send({ type: 'Order' });
    await listener.advance(5_399_999);
    assert.deepEqual(handled, []);
    await listener.advance(1);
    assert.deepEqual(handled, [[7, 1, 1]]);
    await listener.close();
  });
});
