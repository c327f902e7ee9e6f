/** Properties of the order of release: any fences, any order of replies, repeated and missing ones, holders that go and die. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Fence, type ReleasedSlot, release, type Slot } from './release.ts';

const DEADLINE_MS = 100;

/** A holder that takes `count` events, whose replies come but for those that are `lost`, and goes or dies. */
const holder = fc.record({
  count: fc.nat(6),
  lost: fc.uniqueArray(fc.nat(5)),
  end: fc.constantFrom('stays', 'detaches', 'dies'),
});

const story = fc.record({
  holders: fc.array(holder, { minLength: 1, maxLength: 4 }),
  /** In what order replies come: each step takes one of those that are left. */
  picks: fc.array(fc.nat(), { maxLength: 40 }),
  /** After how many replies the holders end. */
  endsAfter: fc.nat(20),
});

type Story = typeof story extends fc.Arbitrary<infer T> ? T : never;

/** Plays it; then time passes, far beyond every deadline. What was released, in order, and at what moment. */
function play({ holders, picks, endsAfter }: Story) {
  let fences: readonly Fence[] = holders.map((_, fence) => ({ fence, nextN: 0 }));
  const coming = holders.flatMap(({ count, lost }, fence) =>
    Array.from({ length: count }, (_, n) => ({ fence, n })).filter(({ n }) => !lost.includes(n)),
  );
  let filled: Slot[] = [];
  const released: (ReleasedSlot & { atMs: number })[] = [];
  const step = (nowMs: number) => {
    const result = release(fences, filled, { nowMs, hasHeardAll: true });
    fences = result.fences;
    released.push(...result.released.map((slot) => ({ ...slot, atMs: nowMs })));
    filled = filled.filter((slot) => !released.some((each) => isSame(each, slot)));
  };
  const end = () => {
    fences = fences.map((fence) => {
      const { end: how, count } = holders[fence.fence] as Story['holders'][number];
      if (how === 'stays') return fence;
      return { ...fence, closesAtMs: DEADLINE_MS, lastN: how === 'detaches' ? count - 1 : undefined };
    });
  };
  for (const [index, pick] of picks.entries()) {
    if (index === endsAfter) end();
    const [slot] = coming.splice(pick % Math.max(1, coming.length), 1);
    // What comes under a fence that is over is turned away.
    if (slot && fences.some(({ fence, nextN }) => fence === slot.fence && slot.n >= nextN)) filled.push(slot);
    step(index === 0 ? 0 : 1);
  }
  if (picks.length <= endsAfter) end();
  const arrived = [...filled, ...released];
  step(DEADLINE_MS + 1);
  return { released, fences, filled, arrived };
}

const isSame = (one: Slot, other: Slot) => one.fence === other.fence && one.n === other.n;

test('slots are released once each, and those of one fence from 0 up without a gap', () => {
  fc.assert(
    fc.property(story, (told) => {
      const { released } = play(told);
      for (const fence of told.holders.keys()) {
        const numbers = released.filter((slot) => slot.fence === fence).map(({ n }) => n);
        assert.deepEqual(
          numbers,
          numbers.map((_, index) => index),
        );
      }
    }),
  );
});

test('every reply that came under a fence that is over has been released as it is', () => {
  fc.assert(
    fc.property(story, (told) => {
      const { released, fences, arrived } = play(told);
      for (const slot of arrived) {
        if (fences.some(({ fence }) => fence === slot.fence)) continue;
        assert.ok(
          released.some((each) => isSame(each, slot)),
          JSON.stringify({ slot, released }),
        );
      }
    }),
  );
});

test('a fence that has ended is over after its deadline, and one whose holder stays never is', () => {
  fc.assert(
    fc.property(story, (told) => {
      const { fences } = play(told);
      const staying = [...told.holders.entries()].filter(([, { end }]) => end === 'stays').map(([n]) => n);
      assert.deepEqual(
        fences.map(({ fence }) => fence),
        staying,
      );
    }),
  );
});

test('nothing is filled by the store before the deadline, and nothing beyond the last slot', () => {
  fc.assert(
    fc.property(story, (told) => {
      const { released } = play(told);
      for (const { isMissing, atMs, fence, n } of released) {
        if (isMissing) assert.ok(atMs > DEADLINE_MS);
        assert.ok(n < (told.holders[fence]?.count ?? 0));
      }
    }),
  );
});

test('while a fence is closing, nothing of the fences after it is released', () => {
  const closing = { fence: 1, nextN: 0, lastN: 1, closesAtMs: 10 };
  const open = { fence: 2, nextN: 0 };
  const filled = [
    { fence: 2, n: 0 },
    { fence: 1, n: 0 },
  ];
  assert.deepEqual(release([closing, open], filled, { nowMs: 9, hasHeardAll: true }), {
    released: [{ fence: 1, n: 0, isMissing: false }],
    fences: [{ ...closing, nextN: 1 }, open],
  });
  assert.deepEqual(release([closing, open], filled, { nowMs: 10, hasHeardAll: true }).released, [
    { fence: 1, n: 0, isMissing: false },
    { fence: 1, n: 1, isMissing: true },
    { fence: 2, n: 0, isMissing: false },
  ]);
});

test('what is missing before a slot that is due is filled, whether or not the fence ever closes', () => {
  const fence = { fence: 1, nextN: 0 };
  const filled = [
    { fence: 1, n: 2, dueMs: 10 },
    { fence: 1, n: 4, dueMs: 20 },
  ];
  assert.deepEqual(release([fence], filled, { nowMs: 9, hasHeardAll: true }), {
    released: [],
    fences: [fence],
  });
  assert.deepEqual(release([fence], filled, { nowMs: 10, hasHeardAll: true }), {
    released: [
      { fence: 1, n: 0, isMissing: true },
      { fence: 1, n: 1, isMissing: true },
      { fence: 1, n: 2, isMissing: false },
    ],
    fences: [{ fence: 1, nextN: 3 }],
  });
});
