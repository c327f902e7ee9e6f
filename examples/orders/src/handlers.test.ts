/** The handlers on a database in memory, and the whole listener with its retries, in one process and without waiting. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createTestListener, handleEvent, type TestListener } from '@waybill/listener/testing';
import { type Orders, openOrders } from './database.ts';
import { createHandlers } from './handlers.ts';

describe('orders', () => {
  let orders: Orders;
  let handlers: ReturnType<typeof createHandlers>;
  let listener: TestListener;
  let failures = 0;
  beforeEach(async () => {
    failures = 0;
    orders = openOrders(':memory:');
    handlers = createHandlers({
      orders,
      async chargeCard() {
        if (failures-- > 0) throw new Error('the bank does not answer');
      },
    });
    listener = await createTestListener({ service: 'orders', handlers });
  });
  afterEach(async () => {
    await listener.close();
    orders.close();
  });

  const place = async () => {
    const { data } = await listener.ask({ type: 'Order.Place', data: { sku: 'tea', quantity: 2 } });
    return (data as { orderId: string }).orderId;
  };

  it('places an order once, however often its event comes', async () => {
    const event = { id: '1', source: '/shop', data: { sku: 'tea', quantity: 2 } };
    const first = await handleEvent(handlers['Order.Place'], event);
    const again = await handleEvent(handlers['Order.Place'], event, { attempt: 2 });
    assert.deepEqual(again.reply, first.reply);
    assert.equal(orders.all().length, 1);
  });

  it('tells a client what is wrong with its order', async () => {
    const { data } = await listener.ask({ type: 'Order.Place', data: { sku: 'tea', quantity: 0 } });
    assert.partialDeepStrictEqual(data, { status: 422, errors: [{ pointer: '#/quantity' }] });
  });

  it('tries again when the bank does not answer', async () => {
    const orderId = await place();
    failures = 2;
    const { type, data } = await listener.ask({ type: 'Order.Pay', data: { orderId, card: 'good' } });
    assert.deepEqual({ type, data }, { type: 'Order.Paid', data: { orderId, attempt: 3 } });
    assert.equal(orders.find(orderId)?.isPaid, true);
  });

  it('gives up after three attempts', async () => {
    const orderId = await place();
    failures = 3;
    const { data } = await listener.ask({ type: 'Order.Pay', data: { orderId, card: 'good' } });
    assert.partialDeepStrictEqual(data, { status: 502 });
    assert.equal(listener.deadLetters()[0]?.reason, 'handler-failed');
  });

  it('refuses a card without a retry or a dead letter', async () => {
    const orderId = await place();
    const { data } = await listener.ask({ type: 'Order.Pay', data: { orderId, card: 'declined' } });
    assert.partialDeepStrictEqual(data, { status: 409, code: 'card-declined' });
    assert.deepEqual(listener.deadLetters(), []);
  });
});
