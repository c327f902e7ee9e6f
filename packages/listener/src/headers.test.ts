import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delivery } from '@waybill/common/broker/ports.ts';
import { crashesOf, earlierCrashesOf, failedAttemptsOf, historyHeaders, isHandedOn } from './headers.ts';

const delivery = (headers: Record<string, unknown>, deliveryCount = 0) =>
  ({ headers, deliveryCount }) as Delivery;

describe('the headers of a history', () => {
  it('are read as they were written', () => {
    const redelivered = delivery(historyHeaders(delivery({}), { failedAttempts: 3, crashes: 2 }), 1);
    assert.equal(failedAttemptsOf(redelivered), 3);
    assert.equal(earlierCrashesOf(redelivered), 2);
    assert.equal(crashesOf(redelivered, 0), 3);
    assert.equal(crashesOf(redelivered, 1), 2);
    assert.equal(isHandedOn(redelivered), false);
  });

  it('tell through all attempts that the event was handed on', () => {
    const handedOn = delivery({ 'waybill-handed-on-by': 'other' });
    const again = delivery(historyHeaders(handedOn, { failedAttempts: 1, crashes: 0 }));
    assert.deepEqual(
      [isHandedOn(handedOn), isHandedOn(again), again.headers['waybill-handed-on-by']],
      [true, true, 'other'],
    );
  });

  it('are nought for a message that has none', () => {
    assert.equal(failedAttemptsOf(delivery({})), 0);
    assert.equal(crashesOf(delivery({}), 0), 0);
  });

  it('are nought when they are not counts', () => {
    for (const value of ['5', -1, Number.NaN, null, {}, true])
      assert.equal(failedAttemptsOf(delivery({ 'waybill-failed-attempts': value })), 0);
  });
});
