import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Problem } from '../problem.ts';
import { handleEvent } from './handle-event.ts';
import { handlers } from './orders.fixture.ts';

describe('handleEvent', () => {
  it('resolves with what the handler makes of an event', async () => {
    const { reply, events } = await handleEvent(handlers['Order.Place'], { id: 'o1', data: { sku: 'x' } });
    assert.deepEqual(reply, { type: 'Order.Placed', data: { sku: 'x' } });
    assert.deepEqual(events?.[1], { type: 'Order.Remind', data: { order: 'o1' }, delayMs: 5_000 });
  });

  it('rejects with the faults of data that the schema does not take', async () => {
    const errors = [{ pointer: '#/sku', detail: 'Invalid input: expected string, received undefined' }];
    await assert.rejects(handleEvent(handlers['Order.Place'], { data: {} }), {
      code: 'invalid-data',
      errors,
    });
  });

  it('rejects with what the handler throws, at the attempt that it is told', async () => {
    const pay = handlers['Order.Pay'];
    await assert.rejects(handleEvent(pay, { data: { worksAt: 2 } }), /does not answer/);
    const { reply } = await handleEvent(pay, { data: { worksAt: 2 } }, { attempt: 2 });
    assert.deepEqual(reply?.data, { attempt: 2 });
  });

  it('rejects a reply and a further event that could not be sent', async () => {
    const data = new Map();
    await assert.rejects(
      handleEvent(() => ({ reply: { type: 'T', data } })),
      { code: 'invalid-reply' },
    );
    await assert.rejects(
      handleEvent(() => ({ events: [{ type: 'no type' }] })),
      { code: 'invalid-event' },
    );
  });

  it('rejects with a Problem, thrown or returned', async () => {
    const shipped = new Problem(409, 'already-shipped');
    const throwIt = () => {
      throw shipped;
    };
    for (const handler of [throwIt, () => shipped])
      await assert.rejects(handleEvent(handler), { code: 'already-shipped', status: 409 });
  });

  it('resolves with nothing for a handler that makes nothing', async () => {
    assert.deepEqual(await handleEvent(() => undefined), {});
  });
});
