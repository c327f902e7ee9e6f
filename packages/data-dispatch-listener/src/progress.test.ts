import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createProgress } from './progress.ts';
import { turnOf } from './turn.fixture.ts';
import type { TakeTurn } from './turn.ts';

/** Turns of chunks of ten batches, of streams of twenty; `taken` has where each began. */
function start() {
  const taken: number[] = [];
  const next: TakeTurn = async ({ stream }) => {
    taken.push(stream.nextIndex);
    const nextIndex = stream.nextIndex + 10;
    return nextIndex < 20 ? { next: { ...stream, nextIndex } } : {};
  };
  return { taken, take: createProgress()(next) };
}

describe('the progress of streams', () => {
  it('ends a turn before the position that a confirmed continuation goes on at', async () => {
    const { taken, take } = start();
    (await take(turnOf())).onConfirmed?.();
    assert.deepEqual(await take(turnOf()), {});
    assert.deepEqual(await take(turnOf({ nextIndex: 9 })), {});
    assert.deepEqual((await take(turnOf({ nextIndex: 10 }))).next, undefined);
    assert.deepEqual(taken, [0, 10]);
  });

  it('has a turn taken again whose continuation was never confirmed', async () => {
    const { taken, take } = start();
    await take(turnOf());
    assert.equal((await take(turnOf())).next?.nextIndex, 10);
    assert.deepEqual(taken, [0, 0]);
  });

  it('ends every turn of a stream that is over', async () => {
    const { taken, take } = start();
    (await take(turnOf({ nextIndex: 10 }))).onConfirmed?.();
    for (const nextIndex of [0, 10, 1_000]) assert.deepEqual(await take(turnOf({ nextIndex })), {});
    assert.deepEqual(taken, [10]);
  });

  it('is never taken back by a confirm that comes late', async () => {
    const { taken, take } = start();
    const slow = await take(turnOf());
    const fast = await take(turnOf());
    fast.onConfirmed?.();
    (await take(turnOf({ nextIndex: 10 }))).onConfirmed?.();
    slow.onConfirmed?.();
    assert.deepEqual(await take(turnOf({ nextIndex: 10 })), {});
    assert.deepEqual(taken, [0, 0, 10]);
  });

  it('leaves other streams alone', async () => {
    const { taken, take } = start();
    (await take(turnOf())).onConfirmed?.();
    await take(turnOf({ id: 'another' }));
    assert.deepEqual(taken, [0, 0]);
  });
});
