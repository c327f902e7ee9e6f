import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createHearing } from './hearing.ts';

const HOUR_MS = 3_600_000;
const HEARD_WITHIN_MS = 5_000;

/** A hearing on clocks that are moved by hand: by itself, or with time that passes, `now` is set. */
function newHearing() {
  const clock = { nowMs: 1_000_000_000, monotonicMs: 0 };
  const hearing = createHearing({
    nowMs: () => clock.nowMs,
    monotonicMs: () => clock.monotonicMs,
    heardWithinMs: HEARD_WITHIN_MS,
  });
  return {
    ask: () => hearing.during(async () => {}),
    hasHeardAll: hearing.hasHeardAll,
    pass(ms: number) {
      clock.nowMs += ms;
      clock.monotonicMs += ms;
    },
    set(ms: number) {
      clock.nowMs += ms;
    },
  };
}

/** As {@link newHearing}, by which everybody has been heard. */
async function newStableHearing() {
  const hearing = newHearing();
  for (let passedMs = 0; passedMs < HEARD_WITHIN_MS; passedMs += 1_000) {
    await hearing.ask();
    hearing.pass(1_000);
  }
  await hearing.ask();
  assert.equal(hearing.hasHeardAll(), true);
  return hearing;
}

it('has heard all some time after a start, also where the clock is set back meanwhile', async () => {
  const { ask, hasHeardAll, pass, set } = newHearing();
  set(-HOUR_MS);
  for (let passedMs = 0; passedMs < HEARD_WITHIN_MS; passedMs += 1_000) {
    await ask();
    assert.equal(hasHeardAll(), false);
    pass(1_000);
  }
  assert.equal(hasHeardAll(), true);
});

for (const [name, setMs] of [
  ['', 0],
  [', which the clock hides as it is set back', -HOUR_MS],
] as const)
  it(`has to hear all again after a time in which nothing was answered${name}`, async () => {
    const { ask, hasHeardAll, pass, set } = await newStableHearing();
    pass(3_000);
    set(setMs);
    await ask();
    assert.equal(hasHeardAll(), false);
    pass(HEARD_WITHIN_MS);
    assert.equal(hasHeardAll(), true);
  });

it('has to hear all again when time has passed that only the clock tells of, as where the machine stood still', async () => {
  const { ask, hasHeardAll, pass, set } = await newStableHearing();
  set(HOUR_MS);
  await ask();
  assert.equal(hasHeardAll(), false);
  pass(HEARD_WITHIN_MS);
  assert.equal(hasHeardAll(), true);
});

it('has heard all as long as it is asked regularly, though the clock is set back', async () => {
  const { ask, hasHeardAll, pass, set } = await newStableHearing();
  set(-HOUR_MS);
  pass(1_000);
  await ask();
  assert.equal(hasHeardAll(), true);
});
