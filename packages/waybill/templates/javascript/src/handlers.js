import { randomUUID } from 'node:crypto';
import { jsonSchema } from '@waybill/listener';

/** Whoever sends anything else is told 422, and what is wrong with it; the handler is not called. */
const order = jsonSchema({
  type: 'object',
  properties: { sku: { type: 'string', minLength: 1 }, quantity: { type: 'integer', minimum: 1 } },
  required: ['sku', 'quantity'],
  examples: [{ sku: 'tea', quantity: 2 }],
});

/** One per event type. A handler may run more than once for one event. */
export const handlers = {
  'Order.Place': {
    schema: order,
    handle: async ({ data: { sku, quantity } }, { log }) => {
      log.info({ sku, quantity }, 'places an order');
      return { reply: { type: 'Order.Placed', data: { orderId: randomUUID(), sku, quantity } } };
    },
  },
};
