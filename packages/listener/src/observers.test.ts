/** What observers do changes nothing for the client of an event. Over processes and a broker: `test/e2e/observers.test.ts`. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createAnswers } from './answers.fixture.ts';
import { createListener } from './create-listener.ts';
import { type Handlers, type Observers, TerminalError } from './handler.ts';

const OBSERVERS_QUEUE = 'waybill.audit.observers';

const answering: Handlers = {
  Greet: ({ data }) => ({ reply: { type: 'Greeting', data: { hello: data } } }),
};

describe('a listener that observes', () => {
  /** A service that answers, and one that observes as told. */
  async function start(t: TestContext, observers: Observers, handlers = answering) {
    const broker = createMemoryBroker({ topology: 'dispatcher' });
    t.after(() => broker.close());
    const observe = (given = observers) => {
      const topology = { service: 'audit', types: [], observedTypes: Object.keys(observers) };
      return createListener({ service: 'audit', observers: given, ...broker.connect({ topology }) });
    };
    const listeners = [
      createListener({
        service: 'greeting',
        handlers,
        ...broker.connect({ topology: { service: 'greeting', types: Object.keys(handlers) } }),
      }),
      observe(),
    ];
    await eventually(() => assert.ok(listeners.every((listener) => listener.isActive())));
    return { broker, observe, observing: listeners[1] };
  }

  it('sees what was asked, without who waits for the answer and until when', async (t) => {
    const seen: CloudEvent[] = [];
    const { broker } = await start(t, { Greet: (event) => void seen.push(event) });
    const expirytime = new Date(Date.now() + 60_000).toISOString();
    const reply = await broker.ask({ type: 'Greet', data: 'Ada', id: '7', expirytime, tenant: 'x' });
    assert.deepEqual(reply.data, { hello: 'Ada' });
    await eventually(() => assert.equal(seen.length, 1));
    const { id, data, tenant } = seen[0] as CloudEvent;
    assert.deepEqual({ id, data, tenant }, { id: '7', data: 'Ada', tenant: 'x' });
    for (const name of ['correlationid', 'replyto', 'expirytime'])
      assert.ok(!(name in (seen[0] ?? {})), name);
  });

  it('sees an event whose sender has long stopped waiting', async (t) => {
    const seen: CloudEvent[] = [];
    const { broker } = await start(t, { Late: (event) => void seen.push(event) });
    const answers = await createAnswers(broker.connect({ topology: 'dispatcher' }));
    const event: CloudEvent = {
      ...{ specversion: '1.0', id: '1', source: '/test', type: 'Late', correlationid: 'c', replyto: 'r' },
      expirytime: '2001-01-01T00:00:00Z',
    };
    await answers.send(event, { to: { observed: 'Late' } });
    await eventually(() => assert.equal(seen.length, 1));
  });

  it('answers nobody, whatever it returns', async (t) => {
    const reply = () => ({ reply: { type: 'Greeting', data: 'from an observer' } });
    const { broker, observing } = await start(t, { Greet: reply as Observers[string] });
    const answers = await createAnswers(broker.connect({ topology: 'dispatcher' }));
    const event = { specversion: '1.0', id: '1', source: '/test', type: 'Greet' } as const;
    await answers.send({ ...event, correlationid: 'c', replyto: 'r' }, { to: { observed: 'Greet' } });
    await eventually(() => assert.deepEqual(broker.queues()[OBSERVERS_QUEUE], { ready: 0, unacked: 0 }));
    await observing?.drain();
    assert.deepEqual(answers.replyMessages(), []);
  });

  it('fails for itself: the answer is the same, and the dead letter is of its own queue', async (t) => {
    const attempts: number[] = [];
    const { broker } = await start(t, {
      Greet: {
        maxAttempts: 2,
        handle(_event, { attempt }) {
          attempts.push(attempt);
          throw attempt === 1 ? new Error('the disk is full') : new TerminalError('refused', 'no');
        },
      },
    });
    const reply = await broker.ask({ type: 'Greet', data: 'Ada' });
    assert.deepEqual(reply.data, { hello: 'Ada' });
    const answers = await createAnswers(broker.connect({ topology: 'dispatcher' }));
    const { queue, reason, code, body } = await answers.deadLetter('"Ada"');
    assert.deepEqual([queue, reason, code], [OBSERVERS_QUEUE, 'handler-failed', 'refused']);
    assert.ok(!body.includes('replyto'), 'who replays it must not answer anybody');
    assert.deepEqual(attempts, [1, 2]);
    assert.deepEqual(answers.replyMessages(), []);
  });

  it('hangs for itself: what it observes waits in its own queue', async (t) => {
    const { broker } = await start(t, { Greet: () => new Promise(() => {}) });
    const asked = Array.from({ length: 100 }, (_, data) => broker.ask({ type: 'Greet', data }));
    const replies = await Promise.all(asked);
    assert.deepEqual(
      replies.map(({ data }) => data),
      asked.map((_, hello) => ({ hello })),
    );
    await eventually(() => {
      const { ready = 0, unacked = 0 } = broker.queues()[OBSERVERS_QUEUE] ?? {};
      assert.deepEqual([ready + unacked, unacked], [100, 64]);
    });
  });

  it('is not there for a while, and misses nothing', async (t) => {
    const seen: unknown[] = [];
    const see: Observers = { Greet: ({ data }) => void seen.push(data) };
    const { broker, observe, observing } = await start(t, see);
    await observing?.drain();
    assert.deepEqual((await broker.ask({ type: 'Greet', data: 'Ada' })).data, { hello: 'Ada' });
    assert.deepEqual(seen, []);
    observe();
    await eventually(() => assert.deepEqual(seen, ['Ada']));
  });

  it('makes no type one that somebody answers', async (t) => {
    const { broker } = await start(t, { Unanswered: () => {} });
    await assert.rejects(broker.ask({ type: 'Unanswered' }), { code: 'unroutable' });
  });

  it('sees the further events of handlers, and makes some of its own', async (t) => {
    const seen: unknown[] = [];
    const relay: Handlers = {
      Relay: ({ data }) => ({ reply: { type: 'Relayed' }, events: [{ type: 'Noted', data }] }),
      Noted: () => ({}),
    };
    const { broker } = await start(
      t,
      {
        Noted: ({ data }) => ({ events: [{ type: 'Noted.Again', data }] }),
        'Noted.Again': ({ data, source }) => void seen.push([data, source]),
      },
      { ...relay, 'Noted.Again': () => ({}) },
    );
    assert.equal((await broker.ask({ type: 'Relay', data: 7 })).type, 'Relayed');
    await eventually(() => assert.deepEqual(seen, [[7, '/waybill/audit.observers']]));
  });

  it('sees all further events of a handler, however many', async (t) => {
    const seen = new Set<unknown>();
    const data = Array.from({ length: 2_000 }, (_, index) => index);
    const { broker } = await start(
      t,
      { Noted: (event) => void seen.add(event.data) },
      {
        Relay: () => ({ events: data.map((each) => ({ type: 'Noted', data: each })) }),
        Noted: () => ({}),
      },
    );
    await broker.ask({ type: 'Relay' });
    await eventually(() => assert.equal(seen.size, data.length));
  });

  it('hands on nothing that it no longer observes, and gets no more of it', async (t) => {
    const handled: unknown[] = [];
    const { broker, observe, observing } = await start(
      t,
      { Greet: () => {} },
      {
        Greet({ data }) {
          handled.push(data);
          return { reply: { type: 'Greeting' } };
        },
      },
    );
    await observing?.drain();
    observe({ Other: () => {} });
    const answers = await createAnswers(broker.connect({ topology: 'dispatcher' }));
    const event: CloudEvent = { specversion: '1.0', id: '1', source: '/test', type: 'Greet', data: 'Ada' };
    const last = { headers: { 'waybill-failed-attempts': 4 }, to: { observed: 'Greet' } };
    await answers.send(event, last);
    assert.equal((await answers.deadLetter('"Ada"')).reason, 'no-handler');
    assert.deepEqual(handled, []);
    await assert.rejects(answers.send(event, last), /unroutable/);
  });

  it('refuses to answer and to observe one type', async (t) => {
    const broker = createMemoryBroker();
    t.after(() => broker.close());
    assert.throws(
      () =>
        createListener({ service: 'both', handlers: answering, observers: { Greet: () => {} }, ...broker }),
      { code: 'invalid-config', message: 'service both handles and observes Greet' },
    );
  });
});
