import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { hang, refuse, reset, respond } from '@waybill/test-harness/stand-in.ts';
import { pino } from 'pino';
import { answer, confirmAll, type Dispatcher, keys, startDispatcher } from '../public-web.fixture.ts';
import { createDispatcherClient, type DispatcherClient } from './dispatcher-client.ts';

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of cleanUp.splice(0).reverse()) await close();
});

async function start(onBatch: Dispatcher['onBatch'] = confirmAll): Promise<Dispatcher> {
  const dispatcher = await startDispatcher({ onBatch });
  cleanUp.push(dispatcher.close);
  return dispatcher;
}

/** A dispatcher that is not running: its port refuses connections. */
async function startAndStop(): Promise<Dispatcher> {
  const dispatcher = await startDispatcher();
  await dispatcher.close();
  return dispatcher;
}

async function clientOf(...dispatchers: Dispatcher[]): Promise<DispatcherClient> {
  const urls = dispatchers.map(({ url }) => url);
  const log = pino({ level: 'silent' });
  const client = await createDispatcherClient({
    urls,
    keys: keys.call,
    clock: createClockCheck(),
    maxQueued: 1_000,
    log,
  });
  cleanUp.push(client.close);
  return client;
}

let count = 0;
function newEvent(data: unknown = null): CloudEvent {
  count += 1;
  const correlationid = `c${count}`;
  return { specversion: '1.0', id: `e${count}`, source: '/test', type: 'PingRequest', correlationid, data };
}

/** What the client would be told; `confirmed` when the broker has the event. */
async function send(client: DispatcherClient, event = newEvent()): Promise<string> {
  return (await client.send(event, () => false))?.code ?? 'confirmed';
}

describe('an event', () => {
  it('that cannot be written as JSON fails alone, and its client is told nothing of why', async () => {
    const client = await clientOf(await start());
    const [outcome, neighbour] = await Promise.all([
      client.send(newEvent(1n), () => false),
      client.send(newEvent(), () => false),
    ]);
    assert.equal(outcome?.code, 'unexpected');
    assert.doesNotMatch(outcome?.message ?? '', /BigInt/);
    assert.equal(neighbour, undefined);
  });

  it('goes with what else came in the same turn, in batches of 128 at most, and each has its own outcome', async () => {
    const dispatcher = await start((events, response) =>
      answer(response, { unroutable: [events[0]?.correlationid] }),
    );
    const client = await clientOf(dispatcher);
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => send(client)));
    assert.deepEqual(
      dispatcher.batches.map(({ length }) => length),
      [128, 72],
    );
    const unroutable = outcomes.flatMap((outcome, index) => (outcome === 'unroutable' ? [index] : []));
    assert.deepEqual(unroutable, [0, 128]);
  });

  it('waits for others while each dispatcher has a batch, and no frozen one has two', async () => {
    const frozen = [await start(hang), await start(hang), await start(hang)];
    const held: ServerResponse[] = [];
    const good = await start((_events, response) => void held.push(response));
    const client = await clientOf(good, ...frozen);
    const all = [good, ...frozen];
    for (const index of all.keys()) {
      void send(client);
      await eventually(() => assert.equal(all.flatMap(({ batches }) => batches).length, index + 1));
    }
    const waiting: Promise<string>[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      waiting.push(send(client));
      await nextTurn();
    }
    good.onBatch = confirmAll;
    for (const response of held) answer(response);
    assert.deepEqual(await Promise.all(waiting), ['confirmed', 'confirmed', 'confirmed']);
    assert.deepEqual(
      all.map(({ batches }) => batches.map(({ length }) => length)),
      [[1, 3], [1], [1], [1]],
    );
  });

  it('waits for two batches under way although there are more dispatchers, until one of these is late', async (t) => {
    const held: ServerResponse[] = [];
    const all = await Promise.all(
      Array.from({ length: 4 }, () => start((_events, response) => void held.push(response))),
    );
    const client = await clientOf(...all);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const outcomes: Promise<string>[] = [];
    async function sendAndSee(count: number, batches: number): Promise<void> {
      for (let event = 0; event < count; event += 1) {
        outcomes.push(send(client));
        await nextTurn();
      }
      while (held.length < batches) await nextTurn();
    }
    await sendAndSee(1, 1);
    await sendAndSee(1, 2);
    await sendAndSee(2, 2);
    answer(held[0] as ServerResponse);
    await sendAndSee(0, 3);
    await sendAndSee(3, 3);
    t.mock.timers.tick(250);
    await sendAndSee(0, 4);
    for (const response of held.slice(1)) answer(response);
    assert.deepEqual(await Promise.all(outcomes), Array(7).fill('confirmed'));
    const sizes = all.flatMap(({ batches }) => batches.map(({ length }) => length));
    assert.deepEqual(sizes.sort(), [1, 1, 2, 3]);
  });

  it('is not sent when nobody waits for it at its turn, and those beside it are', async () => {
    const dispatcher = await start();
    const client = await clientOf(dispatcher);
    const gone = client.send(newEvent(), () => true);
    const waiting = newEvent();
    assert.equal(await send(client, waiting), 'confirmed');
    assert.equal(await gone, undefined);
    assert.deepEqual(
      dispatcher.batches.flat().map(({ id }) => id),
      [waiting.id],
    );
  });

  it('that is too large for a dispatcher once written as JSON is refused, and nothing is sent', async () => {
    const dispatcher = await start();
    const client = await clientOf(dispatcher);
    const numbers = JSON.parse(`[${'1e20,'.repeat(50_000)}1]`);
    assert.equal(await send(client, newEvent(numbers)), 'too-large');
    assert.equal(dispatcher.batches.length, 0);
    assert.equal(await send(client), 'confirmed');
  });

  it('is refused when more wait than may', async () => {
    const dispatcher = await start(hang);
    const log = pino({ level: 'silent' });
    const client = await createDispatcherClient({
      urls: [dispatcher.url],
      keys: keys.call,
      clock: createClockCheck(),
      maxQueued: 2,
      log,
    });
    cleanUp.push(client.close);
    const waiting = [send(client), send(client)];
    assert.equal(await send(client), 'not-accepted');
    await dispatcher.batch(0);
    await dispatcher.close();
    assert.deepEqual(await Promise.all(waiting), ['outcome-unknown', 'outcome-unknown']);
  });
});

describe('a dispatcher that provably took nothing is passed over for the next', () => {
  it('when it refuses the connection', async () => {
    const [dead, alive] = [await startAndStop(), await start()];
    const client = await clientOf(dead, alive);
    const outcomes = [await send(client), await send(client), await send(client)];
    assert.deepEqual(outcomes, ['confirmed', 'confirmed', 'confirmed']);
    assert.equal(alive.batches.length, 3);
  });

  for (const code of ['not-accepted', 'unauthorized', 'not-found'] as const)
    it(`when it answers ${code}`, async () => {
      const [refusing, alive] = [await start(refuse(code)), await start()];
      const client = await clientOf(refusing, alive);
      const outcomes = [await send(client), await send(client), await send(client)];
      assert.deepEqual(outcomes, ['confirmed', 'confirmed', 'confirmed']);
      assert.equal(alive.batches.length, 3);
      assert.equal(refusing.batches.length, 1, 'it gets no more batches');
    });

  it('and when none is left the event is not accepted, at once', async () => {
    const client = await clientOf(
      await startAndStop(),
      await startAndStop(),
      await start(refuse('not-accepted')),
    );
    assert.deepEqual([await send(client), await send(client)], ['not-accepted', 'not-accepted']);
  });
});

describe('a dispatcher that may have taken the events leaves their outcome unknown', () => {
  const behaviours = {
    'resets the connection': reset,
    'answers 500': respond(500),
    'answers 500 by a problem of ours': refuse('unexpected'),
    'is behind something else that answers 503': respond(503),
    'is behind something else that answers 413': respond(413),
    'answers with something else than intake does': (_events: CloudEvent[], response: ServerResponse) =>
      response.end('{"status":"ok"}'),
    'answers with no JSON': (_events: CloudEvent[], response: ServerResponse) => response.end('<html>'),
    'dies within its answer': (_events: CloudEvent[], response: ServerResponse) => {
      response.writeHead(200, { 'content-length': 1_000 }).write('{"unroutable":[');
      setImmediate(() => response.socket?.resetAndDestroy());
    },
  };
  for (const [name, onBatch] of Object.entries(behaviours))
    it(`when it ${name}, and no other dispatcher gets them`, async () => {
      const [first, second] = [await start(onBatch), await start(onBatch)];
      const client = await clientOf(first, second);
      assert.equal(await send(client), 'outcome-unknown');
      assert.equal(first.batches.length + second.batches.length, 1);
    });

  it('when it hangs, after 7 s; meanwhile the others go on', async () => {
    const held: ServerResponse[] = [];
    const [hanging, alive] = [await start(hang), await start((_events, response) => held.push(response))];
    const client = await clientOf(hanging, alive);
    const outcomes: Promise<string>[] = [];
    // Fills every place: one batch under way at each, as none is full.
    for (let batches = 0; batches < 2; batches += 1) {
      outcomes.push(send(client));
      await Promise.race([hanging.batch(hanging.batches.length), alive.batch(alive.batches.length)]);
    }
    assert.deepEqual([hanging.batches.length, alive.batches.length], [1, 1]);
    alive.onBatch = confirmAll;
    for (const response of held) answer(response);
    assert.deepEqual([await send(client), await send(client)], ['confirmed', 'confirmed']);
    assert.equal(hanging.batches.length, 1);
    const counted = Object.groupBy(await Promise.all(outcomes), (outcome) => outcome);
    assert.deepEqual([counted['outcome-unknown']?.length, counted.confirmed?.length], [1, 1]);
  });
});

describe('a failing dispatcher', () => {
  it('is asked with empty batches, and used again once it answers one', async () => {
    const dispatcher = await start(refuse('not-accepted'));
    const client = await clientOf(dispatcher);
    assert.equal(await send(client), 'not-accepted');
    await dispatcher.probe();
    assert.equal(await send(client), 'not-accepted');
    assert.equal(dispatcher.batches.length, 1);
    dispatcher.onBatch = confirmAll;
    await eventually(async () => assert.equal(await send(client), 'confirmed'));
  });

  it('is one that takes no events, not one that was sent a batch it cannot read', async () => {
    for (const code of ['invalid-request', 'too-large', 'unsupported-media-type'] as const) {
      const dispatcher = await start(refuse(code));
      const client = await clientOf(dispatcher, await startAndStop());
      assert.equal(await send(client), 'not-accepted');
      dispatcher.onBatch = confirmAll;
      assert.equal(await send(client), 'confirmed');
    }
  });

  it('that still holds a batch holds up no other event', async () => {
    const dispatcher = await start(hang);
    const client = await clientOf(dispatcher);
    const held = send(client);
    await dispatcher.batch(0);
    dispatcher.onBatch = refuse('not-accepted');
    assert.equal(await send(client), 'not-accepted');
    assert.equal(await Promise.race([held, send(client)]), 'not-accepted');
    await dispatcher.close();
    assert.equal(await held, 'outcome-unknown');
  });

  it('does not hold up close, even when it hangs', async () => {
    const dispatcher = await start(reset);
    const client = await clientOf(dispatcher);
    await send(client);
    dispatcher.onBatch = hang;
    await dispatcher.probe();
    const startedMs = performance.now();
    await client.close();
    assert.ok(performance.now() - startedMs < 5_000);
    cleanUp.pop();
  });
});

describe('a type whose events the broker does not confirm', () => {
  it('holds up no other type, however many of its events wait', async () => {
    const dispatcher = await start((events, response) => {
      if (events.every(({ type }) => type !== 'Stuck')) answer(response);
    });
    const client = await clientOf(dispatcher);
    for (let batches = 0; batches < 2; batches += 1) {
      void send(client, { ...newEvent(), type: 'Stuck' });
      await dispatcher.batch(batches);
    }
    void send(client, { ...newEvent(), type: 'Stuck' });
    assert.equal(await send(client), 'confirmed');
  });
});

describe('what a client is told', () => {
  it('names no address of the inside', async () => {
    const client = await clientOf(await startAndStop(), await start(refuse('unauthorized')));
    const error = await client.send(newEvent(), () => false);
    assert.equal(error?.code, 'not-accepted');
    assert.doesNotMatch(String(error?.message), /127\.0\.0\.1|\d{4}|401/);
  });
});
