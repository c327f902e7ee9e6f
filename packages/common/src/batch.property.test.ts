/** Properties of a keyed batcher whose items may be late: any sequence of items, settled sends, and pauses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { createKeyedBatcher } from './batch.ts';

const KEYS = ['a', 'b', 'slow'] as const;
const SLOW_MAX_ITEMS = 1;

type Step =
  | { kind: 'add'; key: string; bytes: number; isCancelled: boolean }
  | { kind: 'settle'; which: number; isRejected: boolean }
  | { kind: 'turn' }
  | { kind: 'pause'; ms: number };

const addStep = fc.record({
  kind: fc.constant('add' as const),
  key: fc.constantFrom(...KEYS),
  bytes: fc.integer({ min: 0, max: 25 }),
  isCancelled: fc.nat(4).map((n) => n === 0),
});
const pauseStep = fc.record({ kind: fc.constant('pause' as const), ms: fc.integer({ min: 1, max: 6 }) });
const settleStep = fc.record({
  kind: fc.constant('settle' as const),
  which: fc.nat(5),
  isRejected: fc.boolean(),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: addStep },
  { weight: 2, arbitrary: settleStep },
  { weight: 2, arbitrary: fc.constant({ kind: 'turn' as const }) },
  { weight: 1, arbitrary: pauseStep },
);

type Limits = {
  maxItems: number;
  maxBytes: number;
  maxInFlight: number;
  maxPartialInFlight: number;
  maxQueued: number;
  maxQueuedBytes: number;
  maxWaitMs: number | undefined;
};

const limits: fc.Arbitrary<Limits> = fc.record({
  maxItems: fc.integer({ min: 1, max: 4 }),
  maxBytes: fc.integer({ min: 1, max: 40 }),
  maxInFlight: fc.integer({ min: 1, max: 3 }),
  maxPartialInFlight: fc.integer({ min: 1, max: 3 }),
  maxQueued: fc.integer({ min: 1, max: 8 }),
  maxQueuedBytes: fc.integer({ min: 1, max: 100 }),
  maxWaitMs: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 8 }),
});

test('each item has one outcome and its own, in the order of its key, and no bound is ever exceeded', async () => {
  await fc.assert(fc.asyncProperty(limits, fc.array(step, { maxLength: 40 }), live), { numRuns: 200 });
});

test('while no send ends, each item is refused once it has waited too long, and not before', async () => {
  const steps = fc.array(fc.oneof(addStep, addStep, pauseStep), { minLength: 8, maxLength: 20 });
  const maxWaitMs = fc.integer({ min: 4, max: 12 });
  await fc.assert(
    fc.asyncProperty(limits, maxWaitMs, steps, (limits, maxWaitMs, steps) =>
      live({ ...limits, maxInFlight: 1, maxPartialInFlight: 1, maxWaitMs }, steps),
    ),
    { numRuns: 60 },
  );
});

/** Takes a batcher through `steps`, and then to its end. */
async function live(limits: Limits, steps: Step[]): Promise<void> {
  const bench = createBench(limits);
  for (const step of steps) await bench.take(step);
  await bench.settleAll();
  bench.assertOutcomes();
}

type Item = {
  id: number;
  key: string;
  bytes: number;
  addedMs: number;
  isCancelled: boolean;
  fate: 'waiting' | 'sent' | 'done';
  outcomes: string[];
  expected?: string;
};
type Sending = { items: Item[]; resolve(results: string[]): void; reject(error: Error): void };

function createBench({ maxInFlight, maxPartialInFlight, ...limits }: Limits) {
  const items: Item[] = [];
  const underWay: Sending[] = [];
  const lastSent = new Map<string, number>();
  const batcher = createKeyedBatcher<Item, string>({
    ...limits,
    maxInFlight: () => maxInFlight,
    maxPartialInFlight: () => Math.min(maxInFlight, maxPartialInFlight),
    maxItemsFor: (key) => (key === 'slow' ? SLOW_MAX_ITEMS : undefined),
    send(key, batch) {
      assertWithinBounds(key, batch);
      const { promise, resolve, reject } = Promise.withResolvers<string[]>();
      underWay.push({ items: batch, resolve, reject });
      return promise;
    },
  });

  function assertWithinBounds(key: string, batch: Item[]): void {
    assert(batch.length >= 1 && batch.length <= (key === 'slow' ? SLOW_MAX_ITEMS : limits.maxItems));
    assert(batch.length === 1 || bytesOf(batch) <= limits.maxBytes);
    assert(underWay.filter((sending) => sending.items[0]?.key === key).length < maxInFlight);
    for (const item of batch) {
      assert.deepEqual([item.key, item.fate, item.isCancelled], [key, 'waiting', false]);
      assert(item.id > (lastSent.get(key) ?? -1), 'in the order of its key');
      lastSent.set(key, item.id);
      item.fate = 'sent';
    }
  }

  function add({ key, bytes, isCancelled }: Step & { kind: 'add' }): void {
    const item: Item = {
      ...{ id: items.length, key, bytes, isCancelled, addedMs: performance.now() },
      ...{ fate: 'waiting', outcomes: [] },
    };
    items.push(item);
    const outcome = batcher.add(key, item, bytes, () => isCancelled);
    void outcome.then(
      (result) => end(item, result ?? 'cancelled'),
      (error) => end(item, error.code === 'not-accepted' ? refusal(item, error) : error.message),
    );
  }

  function end(item: Item, outcome: string): void {
    item.fate = 'done';
    item.outcomes.push(outcome);
  }

  function refusal({ fate, addedMs }: Item, { message }: Error): string {
    if (fate !== 'waiting') return 'refused though it was sent';
    const isLate = performance.now() - addedMs >= (limits.maxWaitMs ?? 0);
    return /had no turn/.test(message) && !isLate ? 'refused before its time' : 'refused';
  }

  function settle(index: number, isRejected: boolean): void {
    const [sending] = underWay.splice(index, 1);
    if (!sending) return;
    for (const item of sending.items)
      item.expected = isRejected ? `fault of ${sending.items[0]?.id}` : `result of ${item.id}`;
    if (isRejected) sending.reject(new Error(`fault of ${sending.items[0]?.id}`));
    else sending.resolve(sending.items.map(({ id }) => `result of ${id}`));
  }

  /** What waits of each key, once all that has an outcome knows it. */
  function assertQueuesBounded(): void {
    for (const key of KEYS) {
      const waiting = items.filter((item) => item.key === key && item.fate === 'waiting');
      assert(waiting.length <= limits.maxQueued);
      assert(bytesOf(waiting) <= limits.maxQueuedBytes);
    }
  }

  async function take(step: Step): Promise<void> {
    if (step.kind === 'add') return add(step);
    if (step.kind === 'settle') settle(step.which, step.isRejected);
    await (step.kind === 'pause' ? pause(step.ms) : nextTurn());
    assertQueuesBounded();
  }

  return {
    take,
    async settleAll(): Promise<void> {
      await nextTurn();
      while (items.some(({ fate }) => fate !== 'done')) {
        settle(0, false);
        await nextTurn();
      }
    },
    assertOutcomes(): void {
      for (const { id, outcomes, expected, isCancelled } of items) {
        if (expected !== undefined) assert.deepEqual(outcomes, [expected]);
        else
          assert(outcomes.length === 1 && (outcomes[0] === 'refused' || isCancelled), `${id}: ${outcomes}`);
      }
    },
  };
}

function bytesOf(items: Item[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes, 0);
}
