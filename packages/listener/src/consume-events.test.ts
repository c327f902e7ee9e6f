import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { createAmqpPublisher } from '@waybill/common/broker/amqp-publisher.ts';
import { createAmqpSubscriber } from '@waybill/common/broker/amqp-subscriber.ts';
import { listenerTopology } from '@waybill/common/broker/amqp-topology.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { startTcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { pino } from 'pino';
import { createListener } from './create-listener.ts';
import {
  attemptsIn,
  createListenerBench,
  type ListenerBench,
  makeRequest,
} from './listener-bench.fixture.ts';

describe('a listener whose connection is lost', { concurrency: 2 }, () => {
  let bench: ListenerBench;
  before(async () => {
    bench = await createListenerBench();
  });
  after(() => bench.close());

  /** A listener behind a proxy. */
  async function startCut(t: TestContext, service: string, concurrency = 64) {
    const proxy = await startTcpProxy({ target: bench.broker.url });
    t.after(() => proxy.close());
    const listener = await bench.startReady(service, { url: proxy.through(bench.broker.url), concurrency });
    return { proxy, listener };
  }

  it('tells the handler, starts nothing more of what was lost, and gets it again', async (t) => {
    const service = 'lost';
    const { proxy, listener } = await startCut(t, service, 1);
    // One at a time: the second waits for the first, which never ends.
    const [held, waiting] = [makeRequest(service, 'Hold'), makeRequest(service, 'Echo')];
    await bench.send([held, waiting]);
    await listener.waitForLog(({ event_id }) => event_id === held.id);

    proxy.reset();

    const aborted = await listener.waitForLog(
      ({ msg, event_id }) => msg === 'aborted' && event_id === held.id,
    );
    assert.equal(aborted.reason, 'delivery-lost');
    await listener.waitForLog(() => attemptsIn(listener.logs, held).length === 2);
    assert.equal(attemptsIn(listener.logs, waiting).length, 0);
  });

  it('goes on with everything at once, though it lost two connections while all of it was under way', async (t) => {
    const service = 'survivor';
    const { proxy, listener } = await startCut(t, service);
    const events = Array.from({ length: 16 }, () => makeRequest(service, 'Recur', { data: { comings: 3 } }));
    await bench.send(events);
    for (const times of [1, 2]) {
      await listener.waitForLog(() => events.every((e) => attemptsIn(listener.logs, e).length === times));
      proxy.reset();
    }
    await Promise.all(events.map((event) => bench.replyTo(event)));
    assert.equal(listener.logs.filter(({ msg }) => /isolated/.test(msg ?? '')).length, 0);
  });

  it('gives up what costs it its connection again and again, though it survives each time', async (t) => {
    const service = 'reckless';
    const { proxy, listener } = await startCut(t, service);
    const event = makeRequest(service, 'Hold');
    await bench.send(event);
    let isGivenUp = false;
    const dead = bench.deadLetter(event.id).finally(() => {
      isGivenUp = true;
    });
    let losses = 0;
    for (;;) {
      const again = listener.waitForLog(() => attemptsIn(listener.logs, event).length > losses);
      await Promise.race([dead, again]);
      if (isGivenUp) break;
      losses += 1;
      proxy.reset();
    }
    const { reason } = await dead;
    assert.equal(reason, 'listener-crashed');
    assert.ok(losses >= 10 && losses <= 20, `${losses} losses, fewer than the broker's limit`);
  });

  it('answers an event that was on board of two losses, neither of which was its fault', async (t) => {
    const service = 'unlucky';
    const { proxy, listener } = await startCut(t, service);
    const event = makeRequest(service, 'Recur', { data: { comings: 3 } });
    await bench.send(event);
    for (const times of [1, 2]) {
      await listener.waitForLog(() => attemptsIn(listener.logs, event).length === times);
      proxy.reset();
    }
    assert.equal((await bench.replyTo(event)).type, `${service}.Answer`);
    await listener.waitForLog(() => attemptsIn(listener.logs, event).length === 3);
  });

  it('exits 0 on SIGTERM, though a reply still waits for the broker', async (t) => {
    const service = 'waiting';
    const { proxy, listener } = await startCut(t, service);
    const event = makeRequest(service, 'Work', { data: { ms: 500 } });
    await bench.send(event);
    await listener.waitForLog(({ event_id }) => event_id === event.id);
    proxy.setFault({ drop: 'both' });
    await listener.waitForLog(({ msg, event_id }) => msg === 'finished' && event_id === event.id);
    await proxy.close();
    await listener.waitForLog(
      ({ msg, connection }) => /lost/.test(msg ?? '') && /subscriber/.test(String(connection)),
    );

    assert.deepEqual(await listener.stop(), { code: 0, signal: null });
  });
});

describe('a listener whose handlers are all busy', () => {
  let bench: ListenerBench;
  before(async () => {
    bench = await createListenerBench();
  });
  after(() => bench.close());

  const SERVICE = 'saturated';
  const topology = listenerTopology(SERVICE, [`${SERVICE}.Work`]);

  /** A listener in this process, of one event at a time; `handle` is given the ids and numbers of attempts. */
  async function consume(
    t: TestContext,
    startWithinMs: number,
    handle: (id: string, attempt: number) => Promise<void> | void,
  ) {
    const client = { url: bench.broker.url, name: SERVICE, topology, log: pino({ level: 'silent' }) };
    const [publisher, subscriber] = [await createAmqpPublisher(client), await createAmqpSubscriber(client)];
    t.after(() => Promise.all([publisher.close(0), subscriber.close()]));
    const listener = createListener({
      service: SERVICE,
      handlers: {
        [`${SERVICE}.Work`]: async ({ id }, { attempt }) => {
          await handle(id, attempt);
          return { reply: { type: 'Done' } };
        },
      },
      ...{ publisher, subscriber, concurrency: 1, startWithinMs, log: client.log },
    });
    await eventually(() => assert.ok(listener.isActive() && publisher.isAvailable()));
  }

  it('gives what had no turn in time to another, with its history, and keeps what it has begun', async (t) => {
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const handled: [who: string, id: string, attempt: number][] = [];
    const events = Array.from({ length: 3 }, () => makeRequest(SERVICE, 'Work')) as [
      CloudEvent,
      CloudEvent,
      CloudEvent,
    ];
    const [slow, ...waiting] = events;
    await consume(t, 300, async (id, attempt) => {
      handled.push(['busy', id, attempt]);
      begun.resolve();
      await end.promise;
    });
    await bench.send(events, { headers: { 'waybill-failed-attempts': 2 } });
    await begun.promise;
    await consume(t, 60_000, (id, attempt) => void handled.push(['free', id, attempt]));
    await Promise.all(waiting.map((event) => bench.replyTo(event)));
    assert.equal(bench.repliesTo(slow).length, 0);
    end.resolve();
    await bench.replyTo(slow);
    await bench.broker.emptied();
    assert.deepEqual(handled, [['busy', slow.id, 3], ...waiting.map(({ id }) => ['free', id, 3])]);
  });
});
