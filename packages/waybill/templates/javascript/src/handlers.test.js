/** A handler alone: one event in, what is made of it out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handleEvent } from '@waybill/listener/testing';
import { handlers } from './handlers.js';

test('places an order', async () => {
  const { reply } = await handleEvent(handlers['Order.Place'], { data: { sku: 'tea', quantity: 2 } });
  assert.equal(reply?.type, 'Order.Placed');
});
