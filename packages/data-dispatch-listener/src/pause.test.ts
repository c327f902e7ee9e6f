import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { DatasetStream } from './dataset-stream.ts';
import { createPause, QueueFull } from './pause.ts';
import { QueueRefusal } from './queue-sink.ts';
import { turnOf } from './turn.fixture.ts';

/** A turn of a stream with `pause` that ends with `error`. */
async function endWith(error: Error, pause?: DatasetStream['pause'], maxPauseMs = 60_000) {
  const take = createPause({ maxPauseMs })(async () => {
    throw error;
  });
  return await take(turnOf({ nextIndex: 7, pause }));
}

const ago = (ms: number) => new Date(Date.now() - ms).toISOString();

describe('a pause', () => {
  it('goes on at the same place in a second, and tells since when it waits for how many messages', async () => {
    const { next, delayMs } = await endWith(new QueueFull(32));
    assert.equal(delayMs, 1_000);
    assert.equal(next?.nextIndex, 7);
    assert.equal(next?.pause?.ready, 32);
    assert.ok(Date.now() - Date.parse(String(next?.pause?.since)) < 60_000);
  });

  it('goes on counting while the client takes nothing, and looks less often after ten seconds', async () => {
    const since = ago(10_000);
    for (const ready of [32, 31]) {
      const { next, delayMs } = await endWith(new QueueFull(32), { since, ready });
      assert.deepEqual(next?.pause, { since, ready: 32 });
      assert.equal(delayMs, 5_000);
    }
  });

  it('begins anew when fewer messages wait than the last time', async () => {
    const since = ago(10_000);
    const { next, delayMs } = await endWith(new QueueFull(32), { since, ready: 33 });
    assert.notEqual(next?.pause?.since, since);
    assert.equal(delayMs, 1_000);
  });

  it('is of a client that is busy in any way, and remembers how many messages waited', async () => {
    const since = ago(1);
    const { next } = await endWith(new AppError('client-queue-busy', 'blocked'), { since, ready: 32 });
    assert.deepEqual(next?.pause, { since, ready: 32 });
    assert.equal(next?.isOneByOne, undefined);
  });

  it('goes on one by one after a queue that refused a batch', async () => {
    assert.equal((await endWith(new QueueRefusal())).next?.isOneByOne, true);
  });

  it('is given up when the client took nothing for too long', async () => {
    const pause = { since: ago(200), ready: 32 };
    await assert.rejects(endWith(new QueueFull(32), pause, 200), { code: 'client-queue-full' });
  });

  it('is made of nothing else, and of no turn whose delivery is lost', async () => {
    await assert.rejects(endWith(new AppError('client-queue-unavailable', 'gone')), {
      code: 'client-queue-unavailable',
    });
    const turn = turnOf();
    const lost = { ...turn, handling: { ...turn.handling, signal: AbortSignal.abort() } };
    const take = createPause({ maxPauseMs: 60_000 })(async () => {
      throw new QueueFull(32);
    });
    await assert.rejects(take(lost), { code: 'client-queue-busy' });
  });
});
