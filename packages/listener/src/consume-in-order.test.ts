/** Order in the process of the test. What depends on the broker, and on deaths of processes, is in `ordered.test.ts`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { DEAD_LETTERS_QUEUE } from '@waybill/common/broker/amqp-topology.ts';
import { destinationOf, partitionOf } from '@waybill/common/broker/partitions.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createListener } from './create-listener.ts';
import { type HandlerContext, type HandlerWithOptions, TerminalError } from './handler.ts';

const TYPE = 'Step';
const topology = { service: 'steps', types: [TYPE], orderedTypes: [TYPE] };

type Step = { id: string; context: HandlerContext; end(error?: Error): void };

/** A service whose handler ends when the test says so, on a broker of its own. */
function setUp(t: TestContext, options: Partial<HandlerWithOptions> = {}) {
  const broker = createMemoryBroker({ topology });
  t.after(() => broker.close());
  const steps: Step[] = [];
  const handle: HandlerWithOptions['handle'] = async ({ id }, context) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    steps.push({ id, context, end: (error) => (error ? reject(error) : resolve()) });
    await promise;
  };

  async function start({ startWithinMs }: { startWithinMs?: number } = {}) {
    const { publisher, subscriber, faults } = broker.connect({ topology });
    const handlers = { [TYPE]: { ordered: true, handle, ...options } };
    const listener = createListener({
      service: topology.service,
      handlers,
      publisher,
      subscriber,
      ...(startWithinMs !== undefined && { startWithinMs }),
    });
    await eventually(() => assert.ok(listener.isActive() && publisher.isAvailable()));
    return { ...listener, faults };
  }

  return {
    broker,
    start,
    ids: () => steps.map(({ id }) => id),
    /** The step of that number, counted from 0, when there is one. */
    step: (index: number) =>
      eventually(() => {
        const step = steps[index];
        assert.ok(step, `only ${steps.map(({ id }) => id)} have begun`);
        return step;
      }),
    async send(...events: CloudEvent[]) {
      const [first] = events as [CloudEvent];
      const to = destinationOf(first);
      const message = { to, ...encodeMessage(events.map(encodeEvent)) };
      await eventually(async () => assert.equal(await broker.publisher.publish(message), 'confirmed'));
    },
    /** Resolves when nothing is left to do. */
    done: () =>
      eventually(() =>
        assert.deepEqual(
          Object.entries(broker.queues()).filter(
            ([name, { ready, unacked }]) => name !== DEAD_LETTERS_QUEUE && ready + unacked > 0,
          ),
          [],
        ),
      ),
  };
}

const event = (id: string, partitionkey?: string, attributes: Partial<CloudEvent> = {}): CloudEvent => ({
  ...{ specversion: '1.0', source: '/test', type: TYPE, id, ...attributes },
  ...(partitionkey !== undefined && { partitionkey }),
});

describe('a handler in order', () => {
  it('is given the events of a key one after the other, in one message or several, and other keys beside them', async (t) => {
    const { start, send, step, ids, done } = setUp(t);
    await start();
    await send(event('a1', 'a'), event('a2', 'a'));
    await send(event('a3', 'a'));
    await send(event('b1', 'b'));
    await step(1);
    assert.deepEqual(ids().toSorted(), ['a1', 'b1']);

    const inOrder = ['a1', 'a2', 'a3'];
    for (const id of inOrder) {
      const index = await eventually(() => {
        assert.ok(ids().includes(id));
        return ids().indexOf(id);
      });
      assert.deepEqual(
        ids().filter((each) => each.startsWith('a')),
        inOrder.slice(0, inOrder.indexOf(id) + 1),
      );
      (await step(index)).end();
    }
    (await step(ids().indexOf('b1'))).end();
    await done();
  });

  it('is given what has no key at once, and what came by the work queue in its partition', async (t) => {
    const { broker, start, send, step, ids, done } = setUp(t);
    await start();
    await send(event('1'));
    await send(event('2'));
    await step(1);
    const message = encodeMessage([event('a1', 'a'), event('a2', 'a')].map(encodeEvent));
    assert.equal(await broker.publisher.publish({ to: { type: TYPE }, ...message }), 'confirmed');
    (await step(2)).end();
    (await step(3)).end();
    assert.deepEqual(ids().slice(2), ['a1', 'a2']);
    for (const index of [0, 1]) (await step(index)).end();
    await done();
  });

  it('is given the next one after the last attempt at the one before, whose dead letter it does not wait for', async (t) => {
    const { broker, start, send, step, ids, done } = setUp(t, { maxAttempts: 2 });
    await start();
    await send(event('a1', 'a'));
    await send(event('a2', 'a'));
    await send(event('a3', 'a'));
    (await step(0)).end(new Error('not yet'));
    const again = await step(1);
    assert.deepEqual([again.id, again.context.attempt], ['a1', 2]);
    again.end(new Error('never'));
    (await step(2)).end(new TerminalError('no', 'never'));
    (await step(3)).end();
    assert.deepEqual(ids(), ['a1', 'a1', 'a2', 'a3']);

    const letters = [];
    for (let i = 0; i < 2; i += 1)
      letters.push(
        await eventually(async () => {
          const letter = await broker.inspect.take({ deadLetters: true });
          assert.ok(letter);
          return [JSON.parse(String(letter.body)).id, letter.headers['waybill-attempts']];
        }),
      );
    assert.deepEqual(letters, [
      ['a1', 2],
      ['a2', 1],
    ]);
    await done();
  });

  it('is not given what has expired behind others', async (t) => {
    const { start, send, step, ids, done } = setUp(t);
    await start();
    const expirytime = new Date(Date.now() + 300).toISOString();
    await send(event('a1', 'a'), event('a2', 'a', { expirytime }), event('a3', 'a'));
    const first = await step(0);
    await eventually(() => assert.ok(Date.now() > Date.parse(expirytime)));
    first.end();
    (await step(1)).end();
    assert.deepEqual(ids(), ['a1', 'a3']);
    await done();
  });

  it('leaves to another instance, in order, what it had in hand when it was closed, and ends what it had begun', async (t) => {
    const { start, send, step, ids, done } = setUp(t);
    const first = await start();
    await start();
    for (const id of ['a1', 'a2', 'a3']) await send(event(id, 'a'));
    const begun = await step(0);
    const draining = first.drain();
    if (!begun.context.stopping.aborted) await once(begun.context.stopping, 'abort');
    begun.end();
    await draining;
    (await step(1)).end();
    (await step(2)).end();
    assert.deepEqual(ids(), ['a1', 'a2', 'a3']);
    await done();
  });

  it('begins again with what it had not ended when its connection broke, and what was lost begins nothing more', async (t) => {
    const { start, send, step, ids, done } = setUp(t);
    const { faults } = await start();
    for (const id of ['a1', 'a2']) await send(event(id, 'a'));
    const { context } = await step(0);
    faults.reset();
    if (!context.signal.aborted) await once(context.signal, 'abort');
    (await step(1)).end();
    (await step(2)).end();
    assert.deepEqual(ids(), ['a1', 'a1', 'a2']);
    await done();
  });

  it('acks nothing before what is unacked of one of its keys, so that all comes again since, and of other keys nothing', async (t) => {
    const { broker, start, send, step, ids, done } = setUp(t);
    const { faults } = await start();
    const [a, b, c] = Array.from({ length: 100 }, (_, n) => `key-${n}`).filter(
      (key) => partitionOf(event('', key)) === 0,
    );
    await send(event('a1', a), event('b1', b));
    await send(event('b2', b));
    await step(1);
    assert.deepEqual(ids(), ['a1', 'b1']);
    (await step(1)).end();
    (await step(2)).end();
    await send(event('c1', c));
    (await step(3)).end();
    assert.deepEqual(ids(), ['a1', 'b1', 'b2', 'c1']);
    const unacked = () => Object.values(broker.queues()).reduce((sum, queue) => sum + queue.unacked, 0);
    await eventually(() => assert.equal(unacked(), 2));

    faults.reset();
    for (const index of [4, 5, 6]) (await step(index)).end();
    assert.deepEqual(ids().slice(4), ['a1', 'b1', 'b2']);
    await done();
    assert.equal(ids().length, 7);
  });

  it('has its last attempt and no more, however often its message is given back meanwhile, which counts as no death', async (t) => {
    const maxAttempts = 12;
    const seen: string[] = [];
    const handle: HandlerWithOptions['handle'] = ({ id }, { attempt }) => {
      seen.push(`${id} ${attempt}`);
      if (id === 'a1') throw new Error('never');
    };
    const { broker, start, send, done } = setUp(t, { maxAttempts, handle });
    // Each pause between the attempts is longer.
    await start({ startWithinMs: 150 });
    for (const id of ['a1', 'a2']) await send(event(id, 'a'));
    await eventually(() => assert.equal(seen.at(-1), 'a2 1'));
    const attempts = Array.from({ length: maxAttempts }, (_, index) => `a1 ${index + 1}`);
    assert.deepEqual(seen, [...attempts, 'a2 1']);
    await done();
    const letter = await broker.inspect.take({ deadLetters: true });
    assert.equal(letter?.headers['waybill-reason'], 'handler-failed');
    assert.equal(letter?.headers['waybill-attempts'], maxAttempts);
  });

  it('gives up what was in hand whenever its process died, after ten deaths, and nothing that was in hand beside it', async (t) => {
    const { broker, send, done } = setUp(t);
    const others = ['b', 'c', 'd', 'e', 'f', 'g', 'h'].flatMap((key) => [
      event(`${key}1`, key),
      event(`${key}2`, key),
    ]);
    for (const each of [event('a1', 'a'), event('a2', 'a'), event('a3', 'a'), ...others]) await send(each);
    const ended: string[] = [];
    let deaths = 0;
    // What is left to chance: the order of the partitions.
    let drawn = 1;
    t.mock.method(Math, 'random', () => {
      drawn += 1;
      return deaths % 2 === 0 ? 1 / drawn : 1 - 1 / drawn;
    });

    /** A process, from its start to its death, which is what the broker sees of one. */
    async function live(): Promise<void> {
      const { publisher, subscriber, faults } = broker.connect({ topology });
      await eventually(() => assert.ok(publisher.isAvailable()));
      const died = Promise.withResolvers<void>();
      let isDead = false;
      const handle: HandlerWithOptions['handle'] = async ({ id }) => {
        if (id === 'a2') {
          isDead = true;
          deaths += 1;
          faults.refuse();
          died.resolve();
        }
        // Nothing ends in it any more.
        if (isDead) await new Promise(() => {});
        ended.push(id);
      };
      const handlers = { [TYPE]: { ordered: true, handle } };
      createListener({ service: topology.service, handlers, publisher, subscriber });
      await Promise.race([died.promise, done()]);
    }
    for (let lives = 0; lives < 11; lives += 1) await live();

    const letter = await broker.inspect.take({ deadLetters: true });
    assert.equal(JSON.parse(String(letter?.body)).id, 'a2');
    assert.equal(letter?.headers['waybill-reason'], 'listener-crashed');
    assert.equal(await broker.inspect.take({ deadLetters: true }), undefined);
    assert.equal(deaths, 10);
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
      const firsts = [...new Set(ended)].filter((id) => id.startsWith(key));
      assert.deepEqual(firsts, key === 'a' ? ['a1', 'a3'] : [`${key}1`, `${key}2`]);
    }
  });

  it('may not take longer than 5 minutes an attempt', () => {
    const { publisher, subscriber } = createMemoryBroker();
    const handlers = { [TYPE]: { ordered: true, timeoutMs: 300_001, handle: () => undefined } };
    assert.throws(() => createListener({ service: 's', handlers, publisher, subscriber }), {
      code: 'invalid-config',
      message: /timeoutMs must be from 1 to 300000/,
    });
  });
});
