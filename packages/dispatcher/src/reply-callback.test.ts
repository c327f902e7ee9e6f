import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { type EncodedEvent, encodeEvent } from '@waybill/common/event/event-json.ts';
import { KEPT } from '@waybill/common/internal-call/callback-address.ts';
import { type ClockCheck, createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { PROGRESS_TYPE } from '@waybill/common/internal-call/progress.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { hang, type OnBatch, refuse, reset, respond } from '@waybill/test-harness/stand-in.ts';
import { pino } from 'pino';
import type { Deliverer, DeliveryOutcome } from './deliverer.ts';
import { type Instance, keys, newEvent, startInstance, takeAll } from './dispatcher.fixture.ts';
import { createReplyCallback } from './reply-callback.ts';

let callback: Deliverer;
let clock: ClockCheck;
/** What the log says of how calls ended; grows. */
let reasons: string[];
let messages: string[];
const instances: Instance[] = [];
beforeEach(() => {
  clock = createClockCheck();
  reasons = [];
  messages = [];
  const log = pino(
    { level: 'info' },
    {
      write(line: string) {
        const { msg, reason } = JSON.parse(line);
        messages.push(msg);
        reasons.push(reason);
      },
    },
  );
  callback = createReplyCallback({ keys: keys.call, clock, log });
});
afterEach(async () => {
  await Promise.all(instances.splice(0).map(({ close }) => close()));
  await callback.close();
});

async function start(onBatch: OnBatch = takeAll): Promise<Instance> {
  const instance = await startInstance({ onBatch });
  instances.push(instance);
  return instance;
}

/** Delivers one reply to `instance`; by default its name is its address. */
function deliver(
  instance: { url: string },
  name = instance.url,
  reply = encodeEvent(newEvent('PingResponse')),
  claims: object = {},
): Promise<DeliveryOutcome> {
  const address = {
    ...claims,
    kind: 'callback',
    url: `${instance.url}/dispatch`,
    instance: name,
    expMs: Date.now() + 60_000,
  };
  return callback.deliver(address as Parameters<Deliverer['deliver']>[0], reply);
}

/** From now on there is a store, which says these outcomes one after the other, and then the last; resolves with what it is handed. */
async function keepLater(outcomes: DeliveryOutcome[] = ['delivered']): Promise<CloudEvent[]> {
  const kept: CloudEvent[] = [];
  const later = {
    async deliver(_address: unknown, { event }: EncodedEvent) {
      kept.push(event);
      return (outcomes[kept.length - 1] ?? outcomes.at(-1)) as DeliveryOutcome;
    },
  };
  await callback.close();
  callback = createReplyCallback({ keys: keys.call, clock, later, log: pino({ level: 'silent' }) });
  return kept;
}

function deliverMany(instance: Instance, count: number): Promise<DeliveryOutcome[]> {
  return Promise.all(Array.from({ length: count }, () => deliver(instance)));
}

describe('an error nobody foresaw', () => {
  /** One that cannot be put into a batch. */
  const brokenReply = {
    event: newEvent('PingResponse'),
    bytes: 1,
    get json() {
      return assert.fail('canary');
    },
  };

  it('fails its reply alone, and is logged', async () => {
    const instance = await start();
    assert.equal(await deliver(instance, instance.url, brokenReply), 'failing');
    assert.equal(await deliver({ url: 'no address at all' }), 'unknown-reply-address');
    assert.equal(await deliver(instance), 'delivered');
    assert.equal(reasons.length, 1);
  });

  it('in the attempt that finds out whether an address answers again is not the last attempt', async () => {
    const instance = await start(respond(500));
    assert.equal(await deliver(instance), 'failing');
    assert.equal(await deliver(instance, instance.url, brokenReply), 'failing');
    instance.onBatch = takeAll;
    assert.equal(await deliver(instance), 'delivered');
  });
});

describe('replies to one address', () => {
  it('go in batches of 128 at most', async () => {
    const instance = await start();
    assert.deepEqual(new Set(await deliverMany(instance, 200)), new Set(['delivered']));
    assert.deepEqual(
      instance.batches.map(({ length }) => length),
      [128, 72],
    );
  });

  it('are gone where public-web does not know them, each for itself', async () => {
    const instance = await start((events, response) =>
      response.end(JSON.stringify({ unknown: [events[1]?.correlationid] })),
    );
    assert.deepEqual(await deliverMany(instance, 3), ['delivered', 'gone', 'delivered']);
  });

  it('are kept where the client may fetch them when they come too late, but no progress is', async () => {
    const instance = await start((events, response) =>
      response.end(JSON.stringify({ unknown: [], late: events.map(({ correlationid }) => correlationid) })),
    );
    const kept = await keepLater();
    const progress = newEvent(PROGRESS_TYPE);
    const reply = newEvent('PingResponse', { correlationid: progress.correlationid });
    const outcomes = [progress, reply].map((event) => deliver(instance, instance.url, encodeEvent(event)));
    assert.deepEqual(await Promise.all(outcomes), ['late', 'delivered']);
    assert.deepEqual(
      kept.map(({ type }) => type),
      ['PingResponse'],
    );
  });

  it('that others may ask for are kept when it does not take them, once, and tried again all the same', async () => {
    const instance = await start(respond(500));
    const kept = await keepLater(['failing', 'delivered']);
    const [asked, unasked, gone, progress] = ['1', '2', '3', '4'].map((correlationid) =>
      encodeEvent(newEvent(correlationid === '4' ? PROGRESS_TYPE : 'PingResponse', { correlationid })),
    ) as [EncodedEvent, EncodedEvent, EncodedEvent, EncodedEvent];
    for (let times = 0; times < 3; times += 1)
      assert.equal(await deliver(instance, instance.url, asked, KEPT), 'failing');
    assert.equal(await deliver(instance, instance.url, unasked), 'failing');
    assert.equal(await deliver(instance, instance.url, progress, KEPT), 'failing');
    instance.onBatch = respond(410);
    assert.equal(await deliver(instance, instance.url, gone, KEPT), 'delivered');
    assert.equal(await deliver(instance, instance.url, unasked), 'gone');
    assert.deepEqual(
      kept.map(({ correlationid }) => correlationid),
      ['1', '1', '3'],
    );
  });

  it('are put off when it takes none for the moment, and the address counts as well', async () => {
    const instance = await start(refuse('not-accepted'));
    assert.deepEqual(await deliverMany(instance, 3), ['busy', 'busy', 'busy']);
    instance.onBatch = takeAll;
    assert.deepEqual(await deliverMany(instance, 3), ['delivered', 'delivered', 'delivered']);
    assert.deepEqual(
      instance.batches.map(({ length }) => length),
      [3, 3],
    );
  });

  it('that are large may take longer: being large is no failure', async () => {
    const instance = await start((events, response) => setTimeout(() => takeAll(events, response), 1_500));
    const large = encodeEvent(newEvent('PingResponse', { data: 'x'.repeat(250_000) }));
    assert.equal(await deliver(instance, instance.url, large), 'delivered');
  });

  it('are gone when it answers 410, and the address counts as well', async () => {
    const instance = await start(respond(410));
    assert.deepEqual(await deliverMany(instance, 2), ['gone', 'gone']);
    assert.deepEqual(await deliverMany(instance, 2), ['gone', 'gone']);
    assert.deepEqual(messages, [
      'replies dropped: another instance is at their address (setting INTERNAL_URL of public-web)',
    ]);
    instance.onBatch = takeAll;
    assert.deepEqual(await deliverMany(instance, 2), ['delivered', 'delivered']);
    assert.equal(instance.batches.length, 3);
  });

  it('are refused when public-web cannot read them, each for itself, and the address counts as well', async () => {
    let bad: string | undefined;
    const instance = await start((events, response) => {
      bad ??= events[1]?.id;
      const treat = events.some(({ id }) => id === bad) ? refuse('invalid-request') : takeAll;
      return treat(events, response);
    });
    assert.deepEqual(await deliverMany(instance, 3), ['delivered', 'refused', 'delivered']);
    assert.deepEqual(await deliverMany(instance, 2), ['delivered', 'delivered']);
    assert.equal(instance.batches.length, 1 + 3 + 1);
  });

  const failures: Record<string, OnBatch> = {
    'answers 500': respond(500),
    'answers 401': respond(401),
    'answers 503': respond(503),
    'is behind something else that answers 413': respond(413),
    'resets the connection': reset,
    'answers with no JSON': (_events, response) => response.end('<html>'),
    'never answers': hang,
    'never ends its answer': (_events, response) => response.writeHead(200).write('{'),
  };
  for (const [name, onBatch] of Object.entries(failures))
    it(`are failing when it ${name}`, async () => {
      assert.deepEqual(await deliverMany(await start(onBatch), 2), ['failing', 'failing']);
    });

  it('are failing when it refuses the connection', async () => {
    const instance = await start();
    await instance.close();
    assert.equal(await deliver(instance), 'failing');
  });
});

describe('the clock', () => {
  it('is confirmed by an answer of public-web, and by no other with 200', async () => {
    const instance = await start((_events, response) => response.end('{}'));
    assert.equal(await deliver(instance), 'failing');
    assert.equal(clock.isConfirmed(), false);
    instance.onBatch = takeAll;
    assert.equal(await deliver(instance), 'delivered');
    assert.equal(clock.isConfirmed(), true);
  });

  it('differs when a 401 says by how much', async () => {
    const problem = JSON.stringify({ clock_skew_ms: 90_000 });
    await deliver(await start((_events, response) => response.writeHead(401).end(problem)));
    assert.match(String(clock.readiness()), /90 s behind/);
  });

  for (const body of ['<html>', '', 'null', '"text"'])
    it(`is not judged by a 401 with the body ${body || 'of no byte'}, and the log names the 401`, async () => {
      const instance = await start((_events, response) => response.writeHead(401).end(body));
      assert.equal(await deliver(instance), 'failing');
      assert.equal(clock.readiness(), undefined);
      assert.deepEqual(reasons, ['it answered 401']);
    });
});

describe('a failing address', () => {
  it('gets nothing of what waited for it', async () => {
    const instance = await start(hang);
    // Four full calls are under way; the others wait.
    const outcomes = await deliverMany(instance, 600);
    assert.deepEqual(new Set(outcomes), new Set(['failing']));
    assert.deepEqual(
      instance.batches.map(({ length }) => length),
      [128, 128, 128, 128],
    );
  });

  it('gets one reply at a time, and the others are turned away at once', async () => {
    const instance = await start(respond(500));
    await deliver(instance);
    instance.onBatch = hang;
    const tried = deliver(instance);
    assert.deepEqual(
      await deliverMany(instance, 10),
      Array.from({ length: 10 }, () => 'failing'),
    );
    await instance.batch(1);
    assert.equal(await tried, 'failing');
    assert.equal(instance.batches.length, 2);
  });

  it('gets everything again once it has taken one', async () => {
    const instance = await start(respond(500));
    await deliver(instance);
    assert.equal(await deliver(instance), 'failing', 'the one that was tried in vain is not the last');
    instance.onBatch = takeAll;
    assert.equal(await deliver(instance), 'delivered');
    assert.deepEqual(new Set(await deliverMany(instance, 10)), new Set(['delivered']));
    assert.equal(instance.batches.at(-1)?.length, 10);
  });

  it('delays no other', async () => {
    const [hanging, alive] = [await start(hang), await start()];
    const held = deliverMany(hanging, 300);
    assert.equal(await Promise.race([held, deliver(alive)]), 'delivered');
    await held;
  });
});

it('small replies pass by large ones that are slow, however many: none of them fails', async () => {
  const held: (() => void)[] = [];
  const instance = await start((events, response) => {
    const isLarge = events.some(({ data }) => typeof data === 'string');
    if (isLarge) held.push(() => takeAll(events, response));
    else takeAll(events, response);
  });
  const data = 'x'.repeat(250_000);
  const large = Array.from({ length: 8 }, () =>
    deliver(instance, instance.url, encodeEvent(newEvent('PingResponse', { data }))),
  );
  await instance.batch(1);
  const outcomes = await deliverMany(instance, 239);
  assert.deepEqual(new Set(outcomes), new Set(['delivered']));
  assert.equal(held.length, 2, 'large ones go two at a time');
  for (let taken = 0; taken < 8; taken += 1) {
    await eventually(() => assert.ok(held.length > 0));
    held.shift()?.();
  }
  assert.deepEqual(new Set(await Promise.all(large)), new Set(['delivered']));
});

it('an instance that keeps its name at a new address gets its replies there', async () => {
  const [old, moved] = [await start(), await start()];
  assert.equal(await deliver(old, 'the-instance'), 'delivered');
  await old.close();
  assert.equal(await deliver(moved, 'the-instance'), 'delivered');
  assert.equal(moved.delivered().length, 1);
});
