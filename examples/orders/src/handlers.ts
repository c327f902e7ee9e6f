/**
 * What the service does with each type of event: a schema checks the data, effects are made once, a client that cannot have
 * what it asks for is told so, and what fails for the moment is tried again.
 */
import { defineHandlers, type HandlerContext, jsonSchema, Problem, TerminalError } from '@waybill/listener';
import type { Orders } from './database.ts';

export type NewOrder = { sku: string; quantity: number };

const newOrder = jsonSchema<NewOrder>({
  type: 'object',
  properties: { sku: { type: 'string', minLength: 1 }, quantity: { type: 'integer', minimum: 1 } },
  required: ['sku', 'quantity'],
  examples: [{ sku: 'tea', quantity: 2 }],
});

const payment = jsonSchema<{ orderId: string; card: string }>({
  type: 'object',
  properties: { orderId: { type: 'string' }, card: { type: 'string' } },
  required: ['orderId', 'card'],
  examples: [{ orderId: '1', card: 'good' }],
});

/** A day; here it is short, so that it is seen to happen. */
const REMIND_AFTER_MS = 1_000;

/** @param options.chargeCard rejects when it did not work; a further attempt may help */
export function createHandlers({
  orders,
  chargeCard,
}: {
  orders: Orders;
  chargeCard(card: string, attempt: number): Promise<void>;
}) {
  return defineHandlers({
    'Order.Place': {
      schema: newOrder,
      // Another delivery of the event finds its order, gives the same answer, and sends the same reminder under the same id.
      handle: ({ id, source, data }) => {
        const orderId = orders.place(`${source} ${id}`, data);
        return {
          reply: { type: 'Order.Placed', data: { orderId, ...data } },
          events: [
            { type: 'Order.Remind', id: `remind-${orderId}`, data: { orderId }, delayMs: REMIND_AFTER_MS },
          ],
        };
      },
    },
    'Order.Pay': {
      schema: payment,
      maxAttempts: 3,
      handle: async ({ data: { orderId, card } }, { attempt }) => {
        const order = orders.find(orderId);
        if (!order) throw new Problem(404, 'no-such-order', { detail: `there is no order ${orderId}` });
        // For the client alone: nobody has to look at it, and another attempt would not help.
        if (card === 'declined')
          throw new Problem(409, 'card-declined', { detail: 'the bank refuses this card' });
        // For an operator: it is a dead letter at once, which can be replayed when it is mended.
        if (card === 'unknown-bank')
          throw new TerminalError('no-bank', 'no bank is configured for this card');
        await chargeCard(card, attempt);
        orders.pay(orderId);
        return { reply: { type: 'Order.Paid', data: { orderId, attempt } } };
      },
    },
    // It has no reply, and nobody waits for one.
    'Order.Remind': ({ data }, { log }) => {
      const { orderId } = data as { orderId: string };
      if (orders.find(orderId)?.isPaid === false) log.info({ orderId }, 'this order is not paid yet');
    },
    // A slow one ends when nobody waits any more.
    'Order.Export': {
      timeoutMs: 10_000,
      handle: async (_event, context) => ({
        reply: { type: 'Order.Exported', data: await exportAll(orders, context) },
      }),
    },
  });
}

async function exportAll(orders: Orders, { signal }: HandlerContext): Promise<string[]> {
  const lines: string[] = [];
  for (const { orderId, sku, quantity } of orders.all()) {
    signal.throwIfAborted();
    lines.push(`${orderId};${sku};${quantity}`);
    // As if each took a moment.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return lines;
}
