import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { handOver } from './hand-over.ts';
import { turnOf } from './turn.fixture.ts';

/** A turn, while the process is asked to stop, that ends with the reason of that, or `error`. */
async function endWhileStopping({ error, signal }: { error?: Error; signal?: AbortSignal } = {}) {
  const stopping = AbortSignal.abort(new Error('stopping'));
  const turn = turnOf({ nextIndex: 7 });
  const handling = { ...turn.handling, stopping, signal: signal ?? turn.handling.signal };
  const take = handOver(async () => {
    throw error ?? stopping.reason;
  });
  return await take({ ...turn, handling });
}

describe('handing over', () => {
  it('has a turn that the stop of the process ended be taken again from its beginning, at once', async () => {
    const { next, delayMs } = await endWhileStopping();
    assert.deepEqual([next?.nextIndex, delayMs], [7, undefined]);
  });

  it('leaves alone what failed by itself', async () => {
    await assert.rejects(endWhileStopping({ error: new Error('broken') }), /broken/);
  });

  it('leaves alone a delivery that is lost: somebody else has it', async () => {
    await assert.rejects(endWhileStopping({ signal: AbortSignal.abort() }), /stopping/);
  });
});
