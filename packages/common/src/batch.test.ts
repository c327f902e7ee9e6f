import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { type BatcherOptions, createBatcher, createKeyedBatcher } from './batch.ts';

type Sent = { items: number[]; resolve(results: string[]): void; reject(error: Error): void };
type Options = Partial<
  Omit<BatcherOptions<number, string>, 'send' | 'onIdle' | 'maxInFlight' | 'maxPartialInFlight'>
> & {
  maxInFlight?: number;
  maxPartialInFlight?: number;
};

/** A batcher whose sends the test settles; `sent` has all of them, `underWay` those not settled. */
function setUp({ maxInFlight = 1, maxPartialInFlight = maxInFlight, ...options }: Options = {}) {
  const sent: Sent[] = [];
  const underWay = new Set<Sent>();
  const send = (items: number[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    const batch = { items, resolve, reject };
    sent.push(batch);
    underWay.add(batch);
    return promise.finally(() => underWay.delete(batch));
  };
  const inFlight = { maxInFlight: () => maxInFlight, maxPartialInFlight: () => maxPartialInFlight };
  const limits = { maxItems: 10, maxBytes: 1000, maxQueued: 100, ...inFlight };
  const batcher = createBatcher<number, string>({ ...limits, ...options, send });
  return { batcher, sent, underWay, batches: () => sent.map(({ items }) => items) };
}

const answer = ({ items, resolve }: Sent) => resolve(items.map((item) => `result of ${item}`));

describe('a batcher', () => {
  test('sends what one turn of the event loop brings together, microtasks included', async () => {
    const { batcher, batches } = setUp();
    batcher.add(1, 1);
    await Promise.resolve();
    batcher.add(2, 1);
    queueMicrotask(() => batcher.add(3, 1));
    process.nextTick(() => batcher.add(4, 1));
    assert.deepEqual(batches(), []);
    await nextTurn();
    assert.deepEqual(batches(), [[1, 2, 3, 4]]);
  });

  test('sends an item added when it is idle in the same turn, without waiting for more', async () => {
    const { batcher, sent, batches } = setUp();
    for (const item of [1, 2]) {
      const outcome = batcher.add(item, 1);
      await nextTurn();
      answer(sent.at(-1) as Sent);
      assert.equal(await outcome, `result of ${item}`);
    }
    assert.deepEqual(batches(), [[1], [2]]);
  });

  test('gathers what arrives while all sends are under way, and sends it as soon as one is done', async () => {
    const { batcher, sent, batches } = setUp();
    const first = batcher.add(1, 1);
    await nextTurn();
    for (const item of [2, 3]) {
      batcher.add(item, 1);
      await nextTurn();
    }
    assert.deepEqual(batches(), [[1]]);
    assert.equal(batcher.queued(), 2);
    answer(sent[0] as Sent);
    await first;
    assert.deepEqual(batches(), [[1], [2, 3]]);
  });

  test('sends a batch beside few others only, unless it is full, by its items or its bytes', async () => {
    const { batcher, sent, batches } = setUp({
      maxInFlight: 3,
      maxPartialInFlight: 1,
      maxItems: 2,
      maxBytes: 10,
    });
    const outcomes: Promise<string | undefined>[] = [];
    const add = (item: number, bytes: number) => {
      outcomes.push(batcher.add(item, bytes));
      return nextTurn();
    };
    await add(1, 1);
    await add(2, 1);
    assert.deepEqual(batches(), [[1]]);
    await add(3, 1);
    assert.deepEqual(batches(), [[1], [2, 3]]);
    await add(4, 10);
    assert.deepEqual(batches(), [[1], [2, 3], [4]]);
    await add(5, 10);
    assert.deepEqual(batches(), [[1], [2, 3], [4]]);
    for (const batch of sent.slice(0, 3)) answer(batch);
    await nextTurn();
    answer(sent[3] as Sent);
    assert.deepEqual(
      await Promise.all(outcomes),
      [1, 2, 3, 4, 5].map((item) => `result of ${item}`),
    );
  });

  test('asks anew how many sends may be under way', async () => {
    let maxInFlight = 1;
    const batches: number[][] = [];
    const batcher = createBatcher<number, string>({
      maxItems: 1,
      maxBytes: 1,
      maxQueued: 10,
      maxInFlight: () => maxInFlight,
      send: (items) => {
        batches.push(items);
        return new Promise(() => {});
      },
    });
    for (const item of [1, 2, 3]) batcher.add(item, 1);
    await nextTurn();
    assert.deepEqual(batches, [[1]]);
    maxInFlight = 3;
    batcher.add(4, 1);
    await nextTurn();
    assert.deepEqual(batches, [[1], [2], [3]]);
  });

  test('sends what waits, when it is told that more sends may be under way', async () => {
    let maxInFlight = 1;
    const sent: [string, number[]][] = [];
    const batcher = createKeyedBatcher<number, string>({
      maxItems: 1,
      maxBytes: 1,
      maxQueued: 10,
      maxInFlight: () => maxInFlight,
      send: (key, items) => {
        sent.push([key, items]);
        return new Promise(() => {});
      },
    });
    for (const key of ['a', 'b']) for (const item of [1, 2]) batcher.add(key, item, 1);
    await nextTurn();
    maxInFlight = 2;
    await nextTurn();
    assert.equal(sent.length, 2);
    batcher.wake();
    await nextTurn();
    assert.deepEqual(sent, [
      ['a', [1]],
      ['b', [1]],
      ['a', [2]],
      ['b', [2]],
    ]);
  });

  test('sends an item larger than maxBytes alone', async () => {
    const { batcher, batches } = setUp({ maxBytes: 10, maxInFlight: 9 });
    for (const [item, bytes] of [5, 5, 11, 6, 4, 1].entries()) batcher.add(item, bytes);
    await nextTurn();
    assert.deepEqual(batches(), [[0, 1], [2], [3, 4], [5]]);
  });

  test('refuses an item when the queue is full, and takes the next when there is room again', async () => {
    const { batcher, sent } = setUp({ maxQueued: 2 });
    const taken = [batcher.add(1, 1), batcher.add(2, 1)];
    await assert.rejects(batcher.add(3, 1), { name: 'AppError', code: 'not-accepted' });
    await nextTurn();
    taken.push(batcher.add(4, 1));
    answer(sent[0] as Sent);
    await nextTurn();
    answer(sent[1] as Sent);
    assert.deepEqual(await Promise.all(taken), ['result of 1', 'result of 2', 'result of 4']);
  });

  test('refuses an item when the bytes that wait would be too many', async () => {
    const { batcher, sent } = setUp({ maxQueuedBytes: 10 });
    const taken = [batcher.add(1, 6), batcher.add(2, 4)];
    await assert.rejects(batcher.add(3, 1), { name: 'AppError', code: 'not-accepted' });
    await nextTurn();
    taken.push(batcher.add(4, 10));
    answer(sent[0] as Sent);
    await nextTurn();
    answer(sent[1] as Sent);
    assert.deepEqual(await Promise.all(taken), ['result of 1', 'result of 2', 'result of 4']);
  });

  test('refuses what has had no turn for as long as it may wait, and more at once until a send is done', async () => {
    const { batcher, sent, batches } = setUp({ maxWaitMs: 20, maxQueuedBytes: 10 });
    const first = batcher.add(1, 1);
    await nextTurn();
    const addedMs = performance.now();
    await assert.rejects(batcher.add(2, 10), { name: 'AppError', code: 'not-accepted' });
    assert.ok(performance.now() - addedMs >= 20);
    const refused = await Promise.race([batcher.add(3, 1).catch(({ code }) => code), nextTurn('waits')]);
    assert.equal(refused, 'not-accepted');
    answer(sent[0] as Sent);
    assert.equal(await first, 'result of 1');
    const next = batcher.add(4, 10);
    await nextTurn();
    answer(sent[1] as Sent);
    assert.equal(await next, 'result of 4');
    assert.deepEqual(batches(), [[1], [4]]);
  });

  test('refuses at once while the oldest has waited half as long, and sends those that wait', async () => {
    const { batcher, sent } = setUp({ maxWaitMs: 10_000, maxItems: 1 });
    const added = [1, 2].map((item) => batcher.add(item, 1));
    await nextTurn();
    const now = performance.now.bind(performance);
    const clock = mock.method(performance, 'now', () => now() + 4_000);
    added.push(batcher.add(3, 1));
    clock.mock.mockImplementation(() => now() + 5_000);
    await assert.rejects(batcher.add(4, 1), { code: 'not-accepted' });
    answer(sent[0] as Sent);
    await nextTurn();
    added.push(batcher.add(5, 1));
    clock.mock.restore();
    for (let index = 1; index < 4; index++) {
      answer(sent[index] as Sent);
      await nextTurn();
    }
    assert.deepEqual(
      await Promise.all(added),
      [1, 2, 3, 5].map((item) => `result of ${item}`),
    );
  });

  test('takes more however long the oldest has waited, while the queue moves fast enough for all of them', async (t) => {
    const { batcher, sent } = setUp({ maxWaitMs: 10_000, maxItems: 4, maxQueued: 100 });
    const now = performance.now.bind(performance);
    const clock = t.mock.method(performance, 'now', now);
    for (let item = 1; item <= 16; item += 1) void batcher.add(item, 1);
    await nextTurn();
    for (const batch of [0, 1]) {
      clock.mock.mockImplementation(() => now() + (batch + 1) * 3_000);
      answer(sent[batch] as Sent);
      await nextTurn();
    }
    // 12 have had their turn in 6 s: of those that wait, 20 would have it in 10 s.
    assert.equal(batcher.queued(), 4);
    for (let item = 17; item <= 32; item += 1) void batcher.add(item, 1);
    assert.equal(batcher.queued(), 20);
    await assert.rejects(batcher.add(33, 1), { code: 'not-accepted' });
  });

  test('asks once whether an item is cancelled, when its turn comes', async () => {
    const { batcher, sent, batches } = setUp();
    const asked: number[] = [];
    const ask = (item: number, isCancelled: boolean) => () => {
      asked.push(item);
      return isCancelled;
    };
    batcher.add(1, 1, ask(1, false));
    const cancelled = batcher.add(2, 1, ask(2, true));
    batcher.add(3, 1, ask(3, false));
    assert.deepEqual(asked, []);
    await nextTurn();
    assert.equal(await cancelled, undefined);
    assert.deepEqual([asked, batches()], [[1, 2, 3], [[1, 3]]]);
    answer(sent[0] as Sent);
    await nextTurn();
    assert.deepEqual([asked, batcher.isIdle()], [[1, 2, 3], true]);
  });

  test('sends nothing when every item is cancelled, and is idle', async () => {
    const { batcher, batches } = setUp();
    const outcomes = [1, 2].map((item) => batcher.add(item, 1, () => true));
    assert.equal(batcher.isIdle(), false);
    assert.deepEqual(await Promise.all(outcomes), [undefined, undefined]);
    assert.deepEqual([batches(), batcher.isIdle()], [[], true]);
  });

  test('a send that fails, in whatever way, fails its own batch and no other', async () => {
    const error = new Error('no luck');
    const sends = [
      () => Promise.reject(error),
      () => {
        throw error;
      },
      async (items: number[]) => items.map(String),
    ];
    const batcher = createBatcher<number, string>({
      maxItems: 2,
      maxBytes: 10,
      maxQueued: 10,
      maxInFlight: () => 1,
      send: (items) => (sends.shift() as (items: number[]) => Promise<string[]>)(items),
    });
    const outcomes = await Promise.allSettled([1, 2, 3, 4, 5, 6].map((item) => batcher.add(item, 1)));
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason)),
      [error, error, error, error, '5', '6'],
    );
    assert(batcher.isIdle());
  });

  test('keeps its promises whatever happens in whatever order', () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          maxItems: fc.integer({ min: 1, max: 4 }),
          maxBytes: fc.integer({ min: 1, max: 20 }),
          maxInFlight: fc.integer({ min: 2, max: 3 }),
          maxPartialInFlight: fc.integer({ min: 1, max: 2 }),
          maxQueued: fc.integer({ min: 1, max: 8 }),
          maxQueuedBytes: fc.constant(1_000_000),
        }),
        fc.array(anyStep, { maxLength: 60 }),
        assertPromisesKept,
      ),
      { numRuns: 300 },
    ));
});

type Step =
  | { kind: 'add'; bytes: number }
  | { kind: 'cancel' | 'resolve' | 'reject'; which: number }
  | { kind: 'turn' };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('add' as const), bytes: fc.integer({ min: 0, max: 25 }) }),
  },
  fc.record({ kind: fc.constantFrom('cancel' as const, 'resolve', 'reject'), which: fc.nat(7) }),
  fc.constant({ kind: 'turn' as const }),
);

async function assertPromisesKept(
  limits: Required<Omit<Options, 'maxWaitMs'>>,
  steps: Step[],
): Promise<void> {
  const { batcher, sent, underWay } = setUp(limits);
  const bytesOf: number[] = [];
  const cancelled = new Set<number>();
  const expected = new Map<number, unknown>();
  const outcomes: Promise<unknown>[] = [];
  let seen = 0;

  function add(bytes: number): void {
    const item = bytesOf.push(bytes) - 1;
    if (batcher.queued() >= limits.maxQueued) expected.set(item, 'not-accepted');
    const outcome = batcher.add(item, bytes, () => cancelled.has(item));
    outcomes.push(outcome.catch((error) => error.code ?? error.message));
  }

  function settle(batch: Sent, isRejected: boolean): void {
    for (const item of batch.items)
      expected.set(item, isRejected ? `fault of ${batch.items}` : `result of ${item}`);
    if (isRejected) batch.reject(new Error(`fault of ${batch.items}`));
    else answer(batch);
  }

  function check(): void {
    assert(underWay.size <= limits.maxInFlight);
    for (; seen < sent.length; seen++) {
      const { items } = sent[seen] as Sent;
      const bytes = items.reduce((sum, item) => sum + (bytesOf[item] as number), 0);
      assert(items.length >= 1 && items.length <= limits.maxItems);
      assert(items.length === 1 || bytes <= limits.maxBytes);
      assert(!items.some((item) => cancelled.has(item)));
    }
    const accepted = bytesOf.filter((_, item) => expected.get(item) !== 'not-accepted');
    const waiting = batcher.queued() === 0 ? [] : accepted.slice(-batcher.queued());
    const queuedBytes = waiting.reduce((sum, bytes) => sum + bytes, 0);
    const isFull = batcher.queued() >= limits.maxItems || queuedBytes >= limits.maxBytes;
    const mayBeUnderWay = isFull ? limits.maxInFlight : limits.maxPartialInFlight;
    assert(batcher.queued() === 0 || underWay.size >= mayBeUnderWay, 'nothing waits without a reason');
  }

  async function take(step: Step): Promise<void> {
    if (step.kind === 'add') return add(step.bytes);
    if (step.kind === 'cancel') {
      // What is sent already can no longer be cancelled.
      const isSent = sent.some(({ items }) => items.includes(step.which));
      if (!isSent) cancelled.add(step.which);
      return;
    }
    const batch = step.kind === 'turn' ? undefined : [...underWay][step.which];
    if (batch) settle(batch, step.kind === 'reject');
    await nextTurn();
    check();
  }

  for (const step of steps) await take(step);
  await nextTurn();
  check();
  while (underWay.size > 0) {
    for (const batch of underWay) settle(batch, false);
    await nextTurn();
    check();
  }
  const order = sent.flatMap(({ items }) => items);
  assert.deepEqual(
    order,
    [...new Set(order)].sort((a, b) => a - b),
    'once each, in the order added',
  );
  const actual = await Promise.all(outcomes);
  assert.deepEqual(
    actual,
    [...bytesOf.keys()].map((item) => expected.get(item)),
  );
  assert(batcher.isIdle());
}

describe('a keyed batcher', () => {
  function setUpKeyed() {
    const sent: { key: string; items: number[]; done: () => void }[] = [];
    const asked: string[] = [];
    const batcher = createKeyedBatcher<number, string>({
      maxItems: 3,
      maxBytes: 100,
      maxQueued: 4,
      maxInFlight: () => 1,
      maxItemsFor(key) {
        asked.push(key);
        return key === 'slow' ? 1 : undefined;
      },
      send: (key, items) =>
        new Promise((resolve) => {
          sent.push({ key, items, done: () => resolve(items.map((item) => `${key}${item}`)) });
        }),
    });
    return { batcher, sent, asked, batches: () => sent.map(({ key, items }) => [key, ...items]) };
  }

  test('batches each key for itself, with its own limits', async () => {
    const { batcher, sent, batches } = setUpKeyed();
    const outcomes = [1, 2, 3, 4].map((item) => batcher.add('a', item, 1));
    outcomes.push(batcher.add('b', 1, 1), batcher.add('slow', 1, 1), batcher.add('slow', 2, 1));
    await assert.rejects(batcher.add('a', 5, 1), { code: 'not-accepted' });
    await nextTurn();
    assert.deepEqual(batches(), [
      ['a', 1, 2, 3],
      ['b', 1],
      ['slow', 1],
    ]);
    for (let index = 0; index < 5; index++) {
      sent[index]?.done();
      await nextTurn();
    }
    assert.deepEqual(await Promise.all(outcomes), ['a1', 'a2', 'a3', 'a4', 'b1', 'slow1', 'slow2']);
    assert.deepEqual(batches().slice(3), [
      ['a', 4],
      ['slow', 2],
    ]);
  });

  test('forgets a key once nothing of it waits or is under way, also after a failure', async () => {
    const { batcher, sent, asked } = setUpKeyed();
    const first = [batcher.add('a', 1, 1), batcher.add('a', 2, 1)];
    await nextTurn();
    const second = batcher.add('a', 3, 1);
    sent[0]?.done();
    await Promise.all(first);
    const third = batcher.add('a', 4, 1);
    assert.deepEqual(asked, ['a']);
    sent[1]?.done();
    await second;
    await nextTurn();
    sent[2]?.done();
    await third;
    const fourth = batcher.add('a', 5, 1);
    assert.deepEqual(asked, ['a', 'a']);
    await nextTurn();
    sent[3]?.done();
    await fourth;

    let made = 0;
    const failing = createKeyedBatcher<number, string>({
      maxItems: 1,
      maxBytes: 1,
      maxQueued: 1,
      maxInFlight: () => 1,
      maxItemsFor: () => ++made,
      send: () => Promise.reject(new Error('no luck')),
    });
    for (const count of [1, 2]) {
      await assert.rejects(failing.add('a', 1, 1), /no luck/);
      assert.equal(made, count);
    }
  });

  test('keeps a key that is in use again while a turn that was planned before is still to come', async () => {
    const sent: (() => void)[] = [];
    let made = 0;
    const batcher = createKeyedBatcher<number, string>({
      maxItems: 10,
      maxBytes: 100,
      maxQueued: 10,
      maxInFlight: () => 2,
      maxItemsFor: () => ++made,
      send: (_key, items) => new Promise((resolve) => sent.push(() => resolve(items.map(String)))),
    });
    const first = batcher.add('a', 1, 1);
    await nextTurn();
    const second = batcher.add('a', 2, 1);
    sent[0]?.();
    await first;
    sent[1]?.();
    await second;
    void batcher.add('a', 3, 1);
    assert.equal(made, 2);
    await nextTurn();
    void batcher.add('a', 4, 1);
    assert.equal(made, 2);
  });
});
