import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { createLoadShedding, type Entered, type LoadShedding } from './load-shedding.ts';

const DEADLINE_MS = 2_000;
const STEP_MS = 10;
let nowMs = 0;
let loadShedding: LoadShedding;

beforeEach(() => {
  nowMs = 0;
  mock.method(performance, 'now', () => nowMs);
  loadShedding = createLoadShedding();
});
afterEach(() => mock.restoreAll());

function tryToEnter(type = 'Work', deadlineMs = DEADLINE_MS): Entered | undefined {
  try {
    return loadShedding.enter(type, deadlineMs);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'not-accepted');
    return undefined;
  }
}

type Load = {
  forMs: number;
  perStep: number;
  capacityPerStep: number;
  stepMs?: number;
  deadlineMs?: number;
};
type Waiting = { entered: Entered; sinceMs: number };

/** Events that listeners take in order, so many a step; those past their deadline they drop. */
function run(
  queue: Waiting[],
  { forMs, perStep, capacityPerStep, stepMs = STEP_MS, deadlineMs = DEADLINE_MS }: Load,
) {
  const counts = { refused: 0, answered: 0, late: 0 };
  for (const endMs = nowMs + forMs; nowMs < endMs; nowMs += stepMs) {
    for (let index = 0; index < perStep; index++) {
      const entered = tryToEnter('Work', deadlineMs);
      if (entered) queue.push({ entered, sinceMs: nowMs });
      else counts.refused += 1;
    }
    for (let room = capacityPerStep; room > 0 && queue.length > 0; ) {
      const { entered, sinceMs } = queue.shift() as Waiting;
      if (nowMs - sinceMs >= deadlineMs) counts.late += 1;
      else {
        entered.answered();
        counts.answered += 1;
        room -= 1;
      }
    }
  }
  return counts;
}

describe('load shedding', () => {
  it('refuses nothing while listeners keep up', () => {
    const { refused, late } = run([], { forMs: 5_000, perStep: 10, capacityPerStep: 10 });
    assert.deepEqual({ refused, late }, { refused: 0, late: 0 });
  });

  for (const deadlineMs of [1_000, DEADLINE_MS, 30_000])
    it(`keeps listeners at work that is in time, at 3 times what they can do and a deadline of ${deadlineMs} ms`, () => {
      const [forMs, stepMs] = [5 * deadlineMs, deadlineMs / 100];
      const { answered, late, refused } = run([], {
        ...{ forMs, stepMs, perStep: 15, capacityPerStep: 5, deadlineMs },
      });
      const capacity = (forMs / stepMs) * 5;
      assert.equal(answered, capacity);
      assert.equal(late, 0);
      assert.ok(refused > capacity);
    });

  it('takes all again as soon as the load is gone, and a burst as well', () => {
    const queue: Waiting[] = [];
    run(queue, { forMs: 10_000, perStep: 15, capacityPerStep: 5 });
    run(queue, { forMs: 2_000, perStep: 0, capacityPerStep: 5 });
    const burst = run(queue, { forMs: STEP_MS, perStep: 500, capacityPerStep: 5 });
    assert.equal(burst.refused, 0);
  });

  it('follows listeners that become slower', () => {
    const queue: Waiting[] = [];
    run(queue, { forMs: 10_000, perStep: 15, capacityPerStep: 10 });
    run(queue, { forMs: 10_000, perStep: 15, capacityPerStep: 5 });
    const { late } = run(queue, { forMs: 10_000, perStep: 15, capacityPerStep: 5 });
    assert.equal(late, 0);
  });

  it('does not take a hiccup for an end', () => {
    const queue: Waiting[] = [];
    run(queue, { forMs: 10_000, perStep: 5, capacityPerStep: 10 });
    assert.equal(run(queue, { forMs: DEADLINE_MS / 2, perStep: 5, capacityPerStep: 0 }).refused, 0);
    assert.equal(run(queue, { forMs: DEADLINE_MS, perStep: 5, capacityPerStep: 10 }).refused, 0);
    const { refused } = run(queue, { forMs: 5 * DEADLINE_MS, perStep: 5, capacityPerStep: 0 });
    assert.ok(refused > 0, 'but that is one');
  });

  it('takes no account of what was lost, once something newer is answered', () => {
    for (let index = 0; index < 1_000; index++) tryToEnter();
    nowMs += DEADLINE_MS / 2;
    assert.equal(tryToEnter() && tryToEnter(), undefined, 'one goes to see');
    nowMs += DEADLINE_MS / 4;
    tryToEnter()?.answered();
    assert.ok(tryToEnter() && tryToEnter());
  });

  it('believes no rate before many have waited for a quarter of the deadline: the handler may just be slow', () => {
    for (; nowMs < DEADLINE_MS / 4; nowMs += STEP_MS) assert.ok(tryToEnter());
    nowMs += STEP_MS;
    for (let index = 0; index < 15; index++) tryToEnter();
    nowMs += STEP_MS * 15;
    assert.ok(tryToEnter());
    assert.equal(tryToEnter(), undefined);
  });

  it('always lets fewer wait than go in one message', () => {
    for (let index = 0; index < 15; index++) {
      assert.ok(tryToEnter());
      nowMs += 100 * DEADLINE_MS;
    }
  });

  it('does not count what was refused elsewhere', () => {
    for (; nowMs < 2 * DEADLINE_MS; nowMs += STEP_MS) {
      const entered = Array.from({ length: 20 }, () => tryToEnter());
      assert.ok(entered.every((each) => each !== undefined));
      for (const each of entered) each?.refused();
    }
  });

  it('keeps each type to itself, and a bounded number of them', () => {
    for (let index = 0; index < 2_000; index++) tryToEnter();
    nowMs += DEADLINE_MS;
    tryToEnter();
    assert.equal(tryToEnter(), undefined);
    assert.ok(tryToEnter('Other'));
    for (let index = 0; index < 1_000; index++) tryToEnter(`invented-${index}`);
    assert.ok(tryToEnter() && tryToEnter());
  });
});
