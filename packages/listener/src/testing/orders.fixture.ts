/** Handlers that are tested, as `docs/testing.md` has them. */
import * as z from 'zod';
import { defineHandlers, TerminalError } from '../index.ts';

export const handlers = defineHandlers({
  'Order.Place': {
    schema: z.object({ sku: z.string() }),
    handle: ({ data: { sku }, id }) => ({
      reply: { type: 'Order.Placed', data: { sku } },
      events: [
        { type: 'Stock.Take', data: { sku } },
        { type: 'Order.Remind', data: { order: id }, delayMs: 5_000 },
      ],
    }),
  },
  'Order.Remind': () => ({ events: [{ type: 'Mail.Send' }] }),
  'Order.Pay': ({ data }, { attempt }) => {
    const { card, worksAt = 1 } = data as { card?: string; worksAt?: number };
    if (card === 'declined') throw new TerminalError('card-declined', 'the card was declined');
    if (attempt < worksAt) throw new Error('the bank does not answer');
    return { reply: { type: 'Order.Paid', data: { attempt } } };
  },
});
