import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { createExpectedWait, type ExpectedWait } from './expected-wait.ts';

const DEADLINE_MS = 2_000;
const STEP_MS = 10;
let nowMs = 0;
let expectedWait: ExpectedWait;

beforeEach(() => {
  nowMs = 1_000;
  mock.method(performance, 'now', () => nowMs);
  expectedWait = createExpectedWait();
});
afterEach(() => mock.restoreAll());

type Leave = ReturnType<ExpectedWait['enter']>;
type Open = { leave: Leave; sinceMs: number; deadlineMs: number };

function enter({ type = 'Work', deadlineMs = DEADLINE_MS } = {}): Leave | undefined {
  try {
    return expectedWait.enter(type, deadlineMs);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'not-accepted');
    return undefined;
  }
}

function enterMany(count: number, options = {}): { admitted: Leave[]; refused: number } {
  const admitted = Array.from({ length: count }, () => enter(options)).filter((leave) => leave !== undefined);
  return { admitted, refused: count - admitted.length };
}

type Load = {
  forMs: number;
  perStep: number;
  capacityPerStep: number;
  stepMs?: number;
  deadlineMs?: number;
};

/** Requests that listeners take in order, so many a step; at their deadline they are told so and leave. */
function run(
  queue: Open[],
  { forMs, perStep, capacityPerStep, stepMs = STEP_MS, deadlineMs = DEADLINE_MS }: Load,
) {
  const counts = { refused: 0, answered: 0, late: 0 };
  for (const endMs = nowMs + forMs; nowMs < endMs; nowMs += stepMs) {
    while (queue.length > 0 && nowMs - (queue[0] as Open).sinceMs >= (queue[0] as Open).deadlineMs) {
      queue.shift()?.leave(false);
      counts.late += 1;
    }
    const { admitted, refused } = enterMany(perStep, { deadlineMs });
    counts.refused += refused;
    for (const leave of admitted) queue.push({ leave, sinceMs: nowMs, deadlineMs });
    for (const { leave } of queue.splice(0, capacityPerStep)) {
      leave(true);
      counts.answered += 1;
    }
  }
  return counts;
}

describe('the expected wait', () => {
  it('refuses nothing while listeners keep up', () => {
    const { refused, late } = run([], { forMs: 5_000, perStep: 10, capacityPerStep: 10 });
    assert.deepEqual({ refused, late }, { refused: 0, late: 0 });
  });

  for (const deadlineMs of [1_000, DEADLINE_MS, 30_000])
    it(`keeps listeners at work that is in time, at 3 times what they can do and a deadline of ${deadlineMs} ms`, () => {
      const [forMs, stepMs] = [5 * deadlineMs, deadlineMs / 100];
      const load = { forMs, stepMs, perStep: 15, capacityPerStep: 5, deadlineMs };
      const { answered, late, refused } = run([], load);
      const capacity = (forMs / stepMs) * 5;
      assert.deepEqual({ answered, late }, { answered: capacity, late: 0 });
      assert.ok(refused > capacity);
    });

  it('takes all again as soon as the load is gone, and a burst as well', () => {
    const queue: Open[] = [];
    run(queue, { forMs: 10_000, perStep: 15, capacityPerStep: 5 });
    run(queue, { forMs: 2_000, perStep: 0, capacityPerStep: 5 });
    assert.equal(enterMany(500).refused, 0);
  });

  it('follows listeners that become slower', () => {
    const queue: Open[] = [];
    run(queue, { forMs: 10_000, perStep: 15, capacityPerStep: 10 });
    run(queue, { forMs: 10_000, perStep: 15, capacityPerStep: 5 });
    assert.equal(run(queue, { forMs: 10_000, perStep: 15, capacityPerStep: 5 }).late, 0);
  });

  it('does not take a hiccup for an end', () => {
    const queue: Open[] = [];
    run(queue, { forMs: 10_000, perStep: 5, capacityPerStep: 10 });
    assert.equal(run(queue, { forMs: DEADLINE_MS / 2, perStep: 5, capacityPerStep: 0 }).refused, 0);
    assert.equal(run(queue, { forMs: DEADLINE_MS, perStep: 5, capacityPerStep: 10 }).refused, 0);
    const { refused } = run(queue, { forMs: 5 * DEADLINE_MS, perStep: 5, capacityPerStep: 0 });
    assert.ok(refused > 0, 'but that is one');
  });

  it('does not take a slow handler for a busy one', () => {
    const handlerMs = 0.6 * DEADLINE_MS;
    const queue: Open[] = [];
    for (const endMs = nowMs + 10 * DEADLINE_MS; nowMs < endMs; nowMs += STEP_MS) {
      const { admitted, refused } = enterMany(1);
      assert.equal(refused, 0);
      for (const leave of admitted) queue.push({ leave, sinceMs: nowMs, deadlineMs: 0 });
      while (queue[0] && nowMs - queue[0].sinceMs >= handlerMs) queue.shift()?.leave(true);
    }
  });

  it('lets one in now and then while none is answered, and all once one is, whatever was lost', () => {
    enterMany(1_000);
    nowMs += 0.8 * DEADLINE_MS;
    const [probe] = enterMany(100).admitted;
    assert.equal(enterMany(100).refused, 100);
    probe?.(true);
    assert.equal(enterMany(100).refused, 0);
  });

  it('does not count who has left, however that was', () => {
    for (const endMs = nowMs + 10 * DEADLINE_MS; nowMs < endMs; nowMs += STEP_MS) {
      const { admitted, refused } = enterMany(20);
      assert.equal(refused, 0);
      for (const leave of admitted) leave(false);
    }
  });

  it('does not let those who wait for too short a time decide what others may expect', () => {
    const impatient: Open[] = [];
    for (const endMs = nowMs + 60_000; nowMs < endMs; nowMs += 50) {
      while (impatient[0] && nowMs - impatient[0].sinceMs >= 1_000) impatient.shift()?.leave(false);
      for (const leave of enterMany(1, { deadlineMs: 1_000 }).admitted)
        impatient.push({ leave, sinceMs: nowMs, deadlineMs: 1_000 });
      const { admitted } = enterMany(1, { deadlineMs: 30_000 });
      assert.equal(admitted.length, 1);
      admitted[0]?.(true);
    }
  });

  it('always lets fewer wait than go in one message', () => {
    enterMany(15);
    nowMs += 100 * DEADLINE_MS;
    assert.ok(enter());
    assert.ok(enter());
  });

  it('keeps each type to itself', () => {
    enterMany(2_000);
    nowMs += DEADLINE_MS;
    assert.equal(enterMany(100).refused, 99);
    assert.equal(enterMany(100, { type: 'Other' }).refused, 0);
  });
});
