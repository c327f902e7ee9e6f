import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { createListener } from './create-listener.ts';
import type { Handlers } from './handler.ts';

const handlers: Handlers = {
  GreetingRequest: async ({ data }) => ({ reply: { type: 'GreetingResponse', data: { hello: data } } }),
};

describe('a listener on a broker in the same process', () => {
  it('answers, as the README shows', async () => {
    const broker = createMemoryBroker();
    const listener = createListener({ service: 'greeting', handlers, ...broker });
    const reply = await broker.ask({ type: 'GreetingRequest', data: 'Ada' });
    assert.deepEqual(reply.data, { hello: 'Ada' });
    await listener.close();
  });

  it('answers each of many who ask at once, and leaves nothing behind', async () => {
    const broker = createMemoryBroker();
    const listener = createListener({ service: 'greeting', handlers, ...broker });
    const names = Array.from({ length: 200 }, (_, i) => `guest ${i}`);
    const replies = await Promise.all(names.map((data) => broker.ask({ type: 'GreetingRequest', data })));
    assert.deepEqual(
      replies.map(({ data }) => data),
      names.map((hello) => ({ hello })),
    );
    await listener.drain();
    await broker.close();
  });

  it('takes no type that its topology does not name', async () => {
    const broker = createMemoryBroker({ topology: { service: 'greeting', types: ['GreetingRequest'] } });
    const listener = createListener({ service: 'greeting', handlers, ...broker });
    await assert.rejects(broker.ask({ type: 'FarewellRequest' }), { code: 'unroutable' });
    await listener.close();
  });
});
