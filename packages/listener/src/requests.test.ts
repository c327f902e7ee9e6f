/** Requests from listener to listener, and answers that are left to others, in one process. The queue of replies on every broker: `contract-topology.fixture.ts`. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type Logger, pino } from 'pino';
import { createAnswers } from './answers.fixture.ts';
import { createListener } from './create-listener.ts';
import { type Handler, type Handlers, TerminalError } from './handler.ts';
import { makePublisher } from './ports.fixture.ts';
import { Problem } from './problem.ts';
import { createRequests, RequestProblem } from './requests.ts';
import { makeStep } from './step.fixture.ts';

/** Starts each service with its handlers. */
async function start(t: TestContext, services: Record<string, Handlers>, log?: Logger) {
  const broker = createMemoryBroker({ topology: 'dispatcher' });
  t.after(() => broker.close());
  const listeners = Object.entries(services).map(([service, handlers]) => {
    const connections = broker.connect({ topology: { service, types: Object.keys(handlers) } });
    return { ...createListener({ service, handlers, log, ...connections }), connections };
  });
  await eventually(() => assert.ok(listeners.every((listener) => listener.isActive())));
  return { broker, listeners };
}

const reserve: Handler = ({ data }) => ({ reply: { type: 'Stock.Reserved', data: { reserved: data } } });
const placeBy = (handle: Handler): Record<string, Handlers> => ({
  orders: { 'Order.Place': handle },
  stock: { 'Stock.Reserve': reserve },
});

describe('a request of a handler', () => {
  it('is answered by the service that answers its type', async (t) => {
    const { broker } = await start(
      t,
      placeBy(async ({ data }, { request }) => {
        const { type, data: answered } = await request('Stock.Reserve', data);
        return { reply: { type: 'Order.Placed', data: { type, answered } } };
      }),
    );
    const { data } = await broker.ask({ type: 'Order.Place', data: 7 });
    assert.deepEqual(data, { type: 'Stock.Reserved', answered: { reserved: 7 } });
  });

  it('has the trace, the hops and no more than the deadline of its event, and nobody else reads its reply', async (t) => {
    const seen: CloudEvent[] = [];
    const { broker } = await start(t, {
      ...placeBy(async (_event, { request }) => {
        const reply = await request('Stock.Reserve', 1, { timeoutMs: 600_000 });
        return { reply: { type: 'Order.Placed', data: Object.keys(reply) } };
      }),
      stock: {
        'Stock.Reserve'(event, context) {
          seen.push(event);
          return reserve(event, context);
        },
      },
    });
    const expirytime = new Date(Date.now() + 60_000).toISOString();
    const traceparent = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01';
    const { data } = await broker.ask({ type: 'Order.Place', hops: 3, expirytime, traceparent });
    for (const name of ['replyto', 'correlationid', 'expirytime'])
      assert.ok(!(data as string[]).includes(name), name);
    const [asked] = seen;
    assert.deepEqual([asked?.hops, asked?.expirytime, asked?.traceparent], [4, expirytime, traceparent]);
  });

  it('is asked under the same id by another attempt, and under others by the requests beside it', async (t) => {
    const ids: string[] = [];
    const { broker } = await start(t, {
      ...placeBy(async (_event, { request, attempt }) => {
        await Promise.all([request('Stock.Reserve', 1), request('Stock.Reserve', 2)]);
        if (attempt === 1) throw new Error('not yet');
        return { reply: { type: 'Order.Placed' } };
      }),
      stock: {
        'Stock.Reserve'(event, context) {
          ids.push(`${event.id} ${event.data}`);
          return reserve(event, context);
        },
      },
    });
    await broker.ask({ type: 'Order.Place' });
    assert.equal(ids.length, 4);
    assert.equal(new Set(ids).size, 2);
  });

  it('is told the problem that the other service answers with, by which the handler may go', async (t) => {
    const { broker } = await start(t, {
      ...placeBy(async (_event, { request }) => {
        try {
          await request('Stock.Reserve', 1);
        } catch (error) {
          assert.ok(error instanceof RequestProblem);
          throw new Problem(409, 'sold-out', { detail: String(error.problem.left) });
        }
      }),
      stock: { 'Stock.Reserve': () => new Problem(410, 'out-of-stock', { left: 0 }) },
    });
    const { data } = await broker.ask({ type: 'Order.Place' });
    const { status, code, detail } = data as Record<string, unknown>;
    assert.deepEqual([status, code, detail], [409, 'sold-out', '0']);
  });

  it('that fails over there for good fails the event for good where the handler does not care', async (t) => {
    let attempts = 0;
    const { broker } = await start(t, {
      ...placeBy(async (_event, { request }) => {
        attempts += 1;
        await request('Stock.Reserve', 1);
      }),
      stock: {
        'Stock.Reserve'() {
          throw new TerminalError('burnt-down', 'the warehouse is no more');
        },
      },
    });
    const { data } = await broker.ask({ type: 'Order.Place' });
    const { status, error_code } = data as Record<string, unknown>;
    assert.deepEqual([status, error_code, attempts], [502, 'burnt-down', 1]);
  });

  for (const [what, type, timeoutMs, code] of [
    ['that no service answers is refused at once', 'Nobody.Answers', 60_000, 'unroutable'],
    ['that is not answered in time ends then', 'Stock.Hang', 200, 'outcome-unknown'],
  ] as const)
    it(what, async (t) => {
      const { broker } = await start(t, {
        ...placeBy(async (_event, { request }) => {
          const error = await request(type, 1, { timeoutMs }).catch((thrown) => thrown);
          return { reply: { type: 'Order.Placed', data: error.code } };
        }),
        stock: { 'Stock.Hang': () => new Promise(() => {}) },
      });
      assert.equal((await broker.ask({ type: 'Order.Place' })).data, code);
    });

  it('that is open at the deadline of its event fails nothing: the event has expired', async (t) => {
    const ended = Promise.withResolvers<string>();
    const { broker } = await start(t, {
      ...placeBy(async (_event, { request }) => {
        await request('Stock.Hang').catch((error) => {
          ended.resolve(error.code);
          throw error;
        });
      }),
      stock: { 'Stock.Hang': () => new Promise(() => {}) },
    });
    const event: CloudEvent = {
      ...{
        specversion: '1.0',
        id: '1',
        source: '/test',
        type: 'Order.Place',
        correlationid: 'c',
        replyto: 'r',
      },
      expirytime: new Date(Date.now() + 500).toISOString(),
    };
    await broker.publisher.publish({ to: { type: event.type }, ...encodeMessage([encodeEvent(event)]) });
    // Its own deadline and that of its event are one.
    assert.match(await ended.promise, /^(outcome-unknown|handler-timeout)$/);
    const nothing = { ready: 0, unacked: 0 };
    await eventually(() => assert.deepEqual(broker.queues()['waybill.orders'], nothing));
    assert.deepEqual(broker.queues()['waybill.dead-letters'], nothing);
    assert.deepEqual(broker.queues()['waybill.replies'], nothing);
  });

  it('is answered beside a message that holds no reply, which is dead-lettered and told of once', async (t) => {
    const lines: { msg: string }[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void lines.push(JSON.parse(line)) });
    const { broker } = await start(
      t,
      {
        ...placeBy(async (_event, { request }) => {
          const { data } = await request('Stock.Reserve', 1);
          return { reply: { type: 'Order.Placed', data } };
        }),
        stock: {
          async 'Stock.Reserve'({ replyto }) {
            const to = { requester: String(replyto).replace('requester:', '') };
            await broker.publisher.publish({ to, contentType: 'text/plain', body: Buffer.from('no event') });
            return { reply: { type: 'Stock.Reserved', data: to.requester } };
          },
        },
      },
      log,
    );
    const { data } = await broker.ask({ type: 'Order.Place' });
    await eventually(() => assert.deepEqual(broker.queues()[`waybill.${data}`], { ready: 0, unacked: 0 }));
    assert.deepEqual(broker.queues()['waybill.dead-letters'], { ready: 1, unacked: 0 });
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['message without events dead-lettered'],
    );
  });

  it('survives that every connection is lost while it waits', async (t) => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const { broker, listeners } = await start(t, {
      ...placeBy(async (_event, { request }) => {
        const { data } = await request('Stock.Reserve', 1);
        return { reply: { type: 'Order.Placed', data } };
      }),
      stock: {
        async 'Stock.Reserve'(event, context) {
          asked.resolve();
          await answer.promise;
          return reserve(event, context);
        },
      },
    });
    const replied = broker.ask({ type: 'Order.Place' });
    await asked.promise;
    for (const { connections } of listeners) connections.faults.reset();
    answer.resolve();
    assert.deepEqual((await replied).data, { reserved: 1 });
  });

  it('whose process is gone holds up nobody who answers it', async (t) => {
    const { broker } = await start(
      t,
      placeBy(() => {}),
    );
    const answers = await createAnswers(broker.connect({ topology: 'dispatcher' }));
    const gone: CloudEvent = {
      ...{ specversion: '1.0', id: '1', source: '/test', type: 'Stock.Reserve', correlationid: 'c' },
      replyto: 'requester:orders.requests.01234567-89ab-cdef-0123-456789abcdef',
    };
    await answers.send(gone);
    await eventually(() => assert.deepEqual(broker.queues()['waybill.stock'], { ready: 0, unacked: 0 }));
    assert.deepEqual(answers.replyMessages(), []);
  });
});

describe('the time of a request', () => {
  /** Of one process whose queue of replies is there or not, and whose publishes never end. */
  function createAsking({ isActive }: { isActive(): boolean }) {
    const { event, context } = makeStep();
    const publisher = makePublisher(() => new Promise(() => {}));
    const requests = createRequests({
      ...{ service: 'orders', publisher, log: context.log },
      subscriber: { subscribe: () => ({ isActive, cancel: async () => {} }) },
      publishObserved: async () => true,
    });
    return {
      request: requests.of(event, context),
      listeners: () => getEventListeners(context.signal, 'abort').length,
    };
  }

  for (const [what, isOpen] of [
    ['making the queue of its reply', false],
    ['publishing', true],
  ] as const)
    it(`bounds ${what}, and leaves nothing behind`, async () => {
      const counts: number[] = [];
      const asking = createAsking({
        isActive() {
          counts.push(asking.listeners());
          return isOpen;
        },
      });
      await assert.rejects(asking.request('Stock.Reserve', 1, { timeoutMs: 100 }), {
        code: 'outcome-unknown',
      });
      assert.ok(Math.max(...counts) <= 1, 'one listener, however often it looks');
      assert.equal(asking.listeners(), 0);
    });

  for (const timeoutMs of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1_200_001, '5' as never])
    it(`is refused as ${typeof timeoutMs} ${timeoutMs}`, async () => {
      const { request } = createAsking({ isActive: () => assert.fail('nothing is asked') });
      await assert.rejects(request('Stock.Reserve', 1, { timeoutMs }), (error) => {
        assert.ok(error instanceof TerminalError);
        assert.equal(error.code, 'invalid-request');
        return true;
      });
    });
});

describe('publishing now', () => {
  it('publishes a further event before the handler is done', async (t) => {
    const noted = Promise.withResolvers<unknown>();
    const { broker } = await start(t, {
      orders: {
        async 'Order.Place'(_event, { publish }) {
          await publish({ type: 'Order.Noted', data: 7 });
          return { reply: { type: 'Order.Placed', data: await noted.promise } };
        },
      },
      notes: { 'Order.Noted': ({ data, hops }) => noted.resolve([data, hops]) },
    });
    assert.deepEqual((await broker.ask({ type: 'Order.Place' })).data, [7, 1]);
  });
});

describe('an answer that is left to a further event', () => {
  it('is given by whoever handles that, with no word of who left it', async (t) => {
    const { broker } = await start(t, {
      orders: { 'Order.Place': ({ data }) => ({ events: [{ type: 'Order.Check', data, reply: 'later' }] }) },
      checks: { 'Order.Check': ({ data }) => ({ events: [{ type: 'Order.Store', data, reply: 'later' }] }) },
      stores: { 'Order.Store': ({ data }) => ({ reply: { type: 'Order.Placed', data } }) },
    });
    const { type, data, handledby } = await broker.ask({ type: 'Order.Place', data: 7 });
    assert.deepEqual([type, data], ['Order.Placed', 7]);
    assert.match(String(handledby), /^stores\//);
  });

  it('is a failure where nobody takes the event, or several would answer', async (t) => {
    const later = { type: 'Nobody.Answers', reply: 'later' } as const;
    const { broker } = await start(t, {
      orders: {
        'Order.Lost': { maxAttempts: 1, handle: () => ({ events: [later] }) },
        'Order.Twice': () => ({ events: [later, later] }),
        'Order.Both': () => ({ reply: { type: 'Order.Placed' }, events: [later] }),
      },
    });
    const codeOf = async (type: string) =>
      ((await broker.ask({ type })).data as { error_code: string }).error_code;
    assert.equal(await codeOf('Order.Lost'), 'unroutable');
    assert.equal(await codeOf('Order.Twice'), 'invalid-reply');
    assert.equal(await codeOf('Order.Both'), 'invalid-reply');
  });
});
