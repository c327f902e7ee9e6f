import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { makeStep } from './step.fixture.ts';
import type { Outcome } from './step.ts';
import { withExpiry } from './with-expiry.ts';

const timeout = new AppError('handler-timeout', 'too long');
const unanswered = new AppError('outcome-unknown', 'no reply');
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

describe('withExpiry', () => {
  it('starts nothing after the deadline', async (t) => {
    const { event, context } = makeStep({ expirytime: inMs(-1) });
    const next = t.mock.fn(async (): Promise<Outcome> => ({ name: 'handled' }));
    assert.deepEqual(await withExpiry(next)(event, context), { name: 'expired' });
    assert.equal(next.mock.callCount(), 0);
  });

  for (const ended of [timeout, unanswered])
    it(`takes a handler that was ended by the deadline for no failed one: ${ended.code}`, async (t) => {
      t.mock.timers.enable({ apis: ['Date'] });
      const { event, context } = makeStep({ expirytime: inMs(1_000) });
      const step = withExpiry(async () => {
        t.mock.timers.tick(1_000);
        return { name: 'failed', failure: ended };
      });
      const { name, failure, error } = await step(event, context);
      assert.deepEqual([name, failure, error?.code], ['expired', undefined, ended.code]);
    });

  it('leaves a timeout before the deadline, and every other failure, to others', async (t) => {
    t.mock.timers.enable({ apis: ['Date'] });
    for (const [failure, tookMs] of [
      [timeout, 500],
      [unanswered, 500],
      [new Error('mine'), 2_000],
    ] as const) {
      const { event, context } = makeStep({ expirytime: inMs(1_000) });
      const outcome = { name: 'failed', failure };
      const step = withExpiry(async () => {
        t.mock.timers.tick(tookMs);
        return outcome;
      });
      assert.equal(await step(event, context), outcome);
    }
  });
});
