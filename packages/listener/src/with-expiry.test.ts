import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { makeStep } from './step.fixture.ts';
import type { Outcome } from './step.ts';
import { forgiveExpired, withExpiry } from './with-expiry.ts';

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

  it('has one handled that has time', async () => {
    const { event, context } = makeStep({ expirytime: inMs(60_000) });
    const outcome = { name: 'handled' };
    assert.equal(await withExpiry(async () => outcome)(event, context), outcome);
  });
});

describe('forgiveExpired', () => {
  for (const ended of [timeout, unanswered])
    it(`takes a handler that was ended by the deadline for no failed one: ${ended.code}`, async () => {
      const { event, context } = makeStep({ expirytime: inMs(-1) });
      const failed = { name: 'failed', failure: ended };
      const { name, failure, error } = await forgiveExpired(failed, event, context);
      assert.deepEqual([name, failure, error?.code], ['expired', undefined, ended.code]);
    });

  it('leaves a timeout before the deadline, and every other failure, to others', async () => {
    for (const [failure, leftMs] of [
      [timeout, 60_000],
      [unanswered, 60_000],
      [new Error('mine'), -1],
    ] as const) {
      const { event, context } = makeStep({ expirytime: inMs(leftMs) });
      const failed = { name: 'failed', failure };
      assert.equal(await forgiveExpired(failed, event, context), failed);
    }
  });
});
