import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delivery } from '@waybill/common/broker/ports.ts';
import { createSurvivedLosses } from './survived-losses.ts';

const delivery = (deliveryCount: number, messageId?: string) => ({ deliveryCount, messageId }) as Delivery;

describe('losses that a process survived', () => {
  it('are taken off what comes back, and off nothing else', () => {
    const losses = createSurvivedLosses();
    losses.add(delivery(0, 'a'));
    assert.equal(losses.countOf(delivery(1, 'a')), 1);
    assert.equal(losses.countOf(delivery(1, 'b')), 0);
    assert.equal(losses.countOf(delivery(0, 'a')), 0);
  });

  it('are told from those of another process that held the message in between', () => {
    const losses = createSurvivedLosses();
    losses.add(delivery(0, 'a'));
    losses.add(delivery(2, 'a'));
    assert.equal(losses.countOf(delivery(3, 'a')), 2);
  });

  it('count once for two copies of a message', () => {
    const losses = createSurvivedLosses();
    losses.add(delivery(0, 'a'));
    losses.add(delivery(0, 'a'));
    assert.equal(losses.countOf(delivery(1, 'a')), 1);
  });

  it('are taken off 5 times at most, so that what costs every connection ends some day', () => {
    const losses = createSurvivedLosses();
    for (let count = 0; count < 10; count += 1) losses.add(delivery(count, 'a'));
    assert.equal(losses.countOf(delivery(10, 'a')), 5);
  });

  it('are not known of a message without an id', () => {
    const losses = createSurvivedLosses();
    losses.add(delivery(0));
    assert.equal(losses.countOf(delivery(1)), 0);
  });
});
