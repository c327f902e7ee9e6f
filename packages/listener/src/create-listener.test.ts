/** A listener in the process of its test. What depends on the broker is in `run-listener.test.ts`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { createListener } from './create-listener.ts';
import { type Handlers, TerminalError } from './handler.ts';

const handlers: Handlers = {
  Greet: ({ data }) => ({ reply: { type: 'Greeting', data: { hello: data } } }),
};

describe('a listener in memory', () => {
  it('answers an event', async () => {
    const broker = createMemoryBroker();
    const listener = createListener({ service: 'greeting', handlers, ...broker });
    const reply = await broker.ask({ type: 'Greet', data: 'world' });
    assert.deepEqual(reply.data, { hello: 'world' });
    await listener.close();
  });

  it('answers each of many who ask at once', async () => {
    const broker = createMemoryBroker();
    const listener = createListener({ service: 'greeting', handlers, ...broker });
    const names = Array.from({ length: 200 }, (_, i) => `guest ${i}`);
    const replies = await Promise.all(names.map((data) => broker.ask({ type: 'Greet', data })));
    assert.deepEqual(
      replies.map(({ data }) => data),
      names.map((hello) => ({ hello })),
    );
    await listener.drain();
    await broker.close();
  });

  it('takes no type that its topology does not name', async () => {
    const broker = createMemoryBroker({ topology: { service: 'greeting', types: ['Greet'] } });
    const listener = createListener({ service: 'greeting', handlers, ...broker });
    await assert.rejects(broker.ask({ type: 'Farewell' }), { code: 'unroutable' });
    await listener.close();
  });

  it('tells who asks that the event was given up', async (t) => {
    const broker = createMemoryBroker();
    t.after(() => broker.close());
    const Refuse = () => {
      throw new TerminalError('declined', 'no money');
    };
    createListener({ service: 'refusing', handlers: { Refuse }, ...broker });
    const { type, data } = await broker.ask({ type: 'Refuse' });
    assert.equal(type, 'waybill.Problem');
    assert.equal((data as { error_code: string }).error_code, 'declined');
  });

  it('drains: what is under way is told so, and answered, and nothing else is taken', async (t) => {
    const broker = createMemoryBroker();
    t.after(() => broker.close());
    const started = Promise.withResolvers<void>();
    const Wait: Handlers[string] = async (_event, { stopping }) => {
      started.resolve();
      await once(stopping, 'abort');
      return { reply: { type: 'Done' } };
    };
    const listener = createListener({ service: 'waiting', handlers: { Wait }, ...broker });
    const answer = broker.ask({ type: 'Wait' });
    await started.promise;
    await listener.drain();
    assert.equal((await answer).type, 'Done');
    assert.equal(listener.isActive(), false);
  });

  it('closes without waiting: what is under way goes to another', async (t) => {
    const broker = createMemoryBroker();
    t.after(() => broker.close());
    const started = Promise.withResolvers<void>();
    const hang: Handlers[string] = () => {
      started.resolve();
      return new Promise(() => {});
    };
    const first = createListener({ service: 'greeting', handlers: { Greet: hang }, ...broker });
    const answer = broker.ask({ type: 'Greet', data: 'world' });
    await started.promise;
    await first.close();
    const second = createListener({ service: 'greeting', handlers, ...broker });
    assert.deepEqual((await answer).data, { hello: 'world' });
    await second.close();
  });

  it('refuses names and times that cannot be, before it takes anything', async (t) => {
    const broker = createMemoryBroker();
    t.after(() => broker.close());
    const subscribed = t.mock.method(broker.subscriber, 'subscribe');
    for (const [service, given] of [
      ['Capitals', handlers],
      ['replies', handlers],
      ['none', {}],
      ['odd', { 'not a type': handlers.Greet }],
      ['slow', { Greet: { handle: handlers.Greet, timeoutMs: 20 * 60_000 + 1 } }],
    ] as [string, Handlers][])
      assert.throws(() => createListener({ service, handlers: given, ...broker }), {
        code: 'invalid-config',
      });
    assert.equal(subscribed.mock.callCount(), 0);
  });
});
