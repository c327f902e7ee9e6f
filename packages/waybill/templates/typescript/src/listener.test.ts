/** The whole listener on a broker in memory, from an event to its reply: what a client will see. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createTestListener, type TestListener } from '@waybill/listener/testing';
import { handlers } from './handlers.ts';

describe('{{name}}', () => {
  let listener: TestListener;
  before(async () => {
    listener = await createTestListener({ service: '{{name}}', handlers });
  });
  after(() => listener.close());

  it('answers an order', async () => {
    const { type, data } = await listener.ask({ type: 'Order.Place', data: { sku: 'tea', quantity: 2 } });
    assert.equal(type, 'Order.Placed');
    assert.partialDeepStrictEqual(data, { sku: 'tea', quantity: 2 });
  });

  it('tells a client what is wrong with its data', async () => {
    const { data } = await listener.ask({ type: 'Order.Place', data: { sku: 'tea', quantity: 'two' } });
    assert.partialDeepStrictEqual(data, { status: 422, errors: [{ pointer: '#/quantity' }] });
  });
});
