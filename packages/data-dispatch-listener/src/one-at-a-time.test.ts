import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createOneAtATime } from './one-at-a-time.ts';
import { turnOf } from './turn.fixture.ts';

/** Turns that end when `end` is called, and `taken`, how many have begun. */
function start() {
  const taken: (() => void)[] = [];
  let failure: Error | undefined;
  const take = createOneAtATime()(async () => {
    await new Promise<void>((resolve) => taken.push(resolve));
    if (failure) throw failure;
    return {};
  });
  return {
    taken,
    take,
    fail(error: Error) {
      failure = error;
    },
  };
}

describe('copies of one event', () => {
  it('wait until what the one before them led to is confirmed', async () => {
    const { taken, take } = start();
    const first = take(turnOf());
    void take(turnOf());
    await nextTurn();
    taken[0]?.();
    const { onConfirmed } = await first;
    await nextTurn();
    assert.equal(taken.length, 1);
    onConfirmed?.();
    await nextTurn();
    assert.equal(taken.length, 2);
  });

  it('do not wait when the one before them has failed', async () => {
    const { taken, take, fail } = start();
    const first = take(turnOf());
    void take(turnOf());
    await nextTurn();
    fail(new Error('broken'));
    taken[0]?.();
    await assert.rejects(first, /broken/);
    await nextTurn();
    assert.equal(taken.length, 2);
  });

  it('wait for a confirm that does not come for two seconds', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { taken, take } = start();
    const first = take(turnOf());
    void take(turnOf());
    await nextTurn();
    taken[0]?.();
    await first;
    t.mock.timers.tick(1_999);
    await nextTurn();
    assert.equal(taken.length, 1);
    t.mock.timers.tick(1);
    await nextTurn();
    assert.equal(taken.length, 2);
  });

  it('do not keep other events', async () => {
    const { taken, take } = start();
    void take(turnOf());
    void take(turnOf({ nextIndex: 32 }));
    await nextTurn();
    assert.equal(taken.length, 2);
  });
});
