import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { MAX_INTERNAL_JSON_DEPTH } from '@waybill/common/event/parse-json.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import type { LookedAt, Reserved, StoreCall } from '@waybill/common/internal-call/store-calls.ts';
import {
  attaches,
  mailboxAge,
  mailboxDepth,
  mailboxEntries,
  sessions as sessionsGauge,
} from '@waybill/common/telemetry/metrics.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { createPostPushes } from '../later/watches.ts';
import { append, pong, postSigned, startStore } from '../public-web.fixture.ts';
import {
  type Client,
  connect,
  type Instance,
  newPing,
  reply,
  replyTogether,
  requester,
  sentBy,
  startInstance,
} from './sessions.fixture.ts';
import { GAP_TYPE } from './sessions.ts';

describe('sessions of clients that stay', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-sessions-'));
  let store: Service;
  let one: Instance;
  let other: Instance;
  const drained: Instance[] = [];
  const start = (name: string, options = {}) => {
    const instance = startInstance(`${name} ${randomUUID()}`, store, options);
    drained.push(instance);
    return instance;
  };
  before(async () => {
    store = await startStore(folder);
    one = start('one');
    other = start('other');
  });
  after(async () => {
    for (const { sessions } of drained) await sessions.drain();
    await store.stop();
    rmSync(folder, { recursive: true });
  });
  const ids = (count: number, prefix = '') =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const codeOf = (entry: { event: { data?: unknown } } | undefined) =>
    (entry?.event.data as { code?: string } | undefined)?.code;

  it('hand over results in the order of the events, whatever order they come in', async () => {
    const client = await connect(one, randomUUID());
    await client.send('a', 'b', 'c');
    const [a, b, c] = await sentBy(one, 'a', 'b', 'c');
    await reply(store, [one], [c, a, b]);
    assert.deepEqual(await client.answers(3), ['a', 'b', 'c']);
    await client.session.answered();
    const [first] = client.entries;
    assert.equal(first?.event.type, 'PingResponse');
    assert.equal(first?.event.correlationid, undefined);
    assert.equal(first?.event.replyto, undefined);
    await client.session.close();
  });

  it('go on behind the token on another instance, with all that came while nobody was there', async () => {
    const name = randomUUID();
    const before = await connect(one, name);
    await before.send('a', 'b', 'c');
    const events = await sentBy(one, 'a', 'b', 'c');
    await reply(store, [one], events.slice(0, 1));
    await before.answers(1);
    const after = before.entries[0]?.token;
    await before.session.close();
    await reply(store, [], events.slice(1));
    const client = await connect(other, name, { after });
    assert.equal(client.session.recovered, true);
    assert.deepEqual(await client.answers(2), ['b', 'c']);
    await client.session.close();
  });

  it('have results as deep as any reply may be, told, found by looking and read by who comes back', async () => {
    const deepest = MAX_INTERNAL_JSON_DEPTH - 2;
    const data = Array.from({ length: deepest - 1 }).reduce<unknown>((inner) => [inner], {});
    const name = randomUUID();
    const client = await connect(one, name);
    await client.send('told', 'looked for', 'read');
    const [told, ...others] = (await sentBy(one, 'told', 'looked for', 'read')).map((event) => ({
      ...pong(event),
      data,
    }));
    const [result] = await append(store, [told as CloudEvent]);
    const body = Buffer.from(JSON.stringify([{ ...result?.push, instance: one.name, event: told }]));
    await createPostPushes({ watches: one.watches, instance: one.name })({ body } as InternalCall);
    await client.answers(1);
    const after = client.entries[0]?.token;
    await append(store, others.slice(0, 1));
    await client.answers(2);
    await client.session.close();
    await append(store, others.slice(1));
    const again = await connect(other, name, { after });
    await again.answers(2);
    for (const { event } of [...client.entries, ...again.entries]) assert.deepEqual(event.data, data);
    await again.session.close();
  });

  it('find by looking what they were not told of', async () => {
    const client = await connect(one, randomUUID());
    await client.send(...ids(50));
    await replyTogether(store, [], await sentBy(one, ...ids(50)));
    assert.deepEqual(await client.answers(50), ids(50));
    await client.session.close();
  });

  it('in which nothing happens cost one question for all, and find what they were not told of all the same', async () => {
    const quiet = start('quiet', { lookEveryMs: 200 });
    const names = ids(40).map(() => randomUUID());
    const clients = await Promise.all(names.map((name) => connect(quiet, name)));
    const lastLooks = () => quiet.calls.slice(-3).map(({ call }) => call);
    await eventually(() => assert.deepEqual(lastLooks(), ['changes', 'changes', 'changes']));
    const before = quiet.calls.length;
    const [first] = clients as [Client];
    const reserving = { call: 'reserve', owner: '', client: names[0], count: 1, deadlineMs: 60_000 };
    const reserved = await (await postSigned(`${store.baseUrl}/calls`, reserving)).json();
    const { mailbox, fence } = reserved as Reserved;
    await append(store, [pong({ ...newPing('posted'), correlationid: `${mailbox}.${fence}.0` })]);
    await first.answers(1);
    const taker = await connect(other, names[1] as string);
    assert.equal(await clients[1]?.ended, 'taken-over');
    const looked = quiet.calls.slice(before).flatMap((each) => (each.call === 'look' ? each.mailboxes : []));
    assert.ok(new Set(looked.map((each) => each.mailbox)).size <= 2, `${looked.length} were looked at`);
    await Promise.all([taker, ...clients].map(({ session }) => session.close()));
  });

  it('go on when what the store says to a look is older than what was handed over', async () => {
    const looked = Promise.withResolvers<void>();
    const pushed = Promise.withResolvers<void>();
    const crossed = start('crossed', {
      onLooked() {
        looked.resolve();
        return pushed.promise;
      },
    });
    const client = await connect(crossed, randomUUID());
    await client.send('a', 'b');
    await looked.promise;
    await reply(store, [crossed], await sentBy(crossed, 'a'));
    await client.answers(1);
    pushed.resolve();
    await replyTogether(store, [], await sentBy(crossed, 'b'));
    assert.deepEqual(await client.answers(2), ['a', 'b']);
    await client.session.close();
  });

  it('end when the store has gone back, under the same epoch', async () => {
    let isBack = false;
    const early = start('early', {
      onLooked(found: LookedAt[]) {
        if (isBack) for (const each of found) each.head -= 1;
      },
    });
    const client = await connect(early, randomUUID());
    await client.send('a');
    await reply(store, [early], await sentBy(early, 'a'));
    await client.answers(1);
    isBack = true;
    assert.equal(await client.ended, 'lost');
  });

  it('hand over 256 entries, and more once some are acknowledged, which are then gone', async () => {
    const name = randomUUID();
    const client = await connect(one, name);
    await client.send(...ids(200));
    await replyTogether(store, [one], await sentBy(one, ...ids(200)));
    await client.send(...ids(100, 'more '));
    await replyTogether(store, [one], await sentBy(one, ...ids(100, 'more ')));
    await client.answers(256);
    assert.equal(client.entries.length, 256);
    await client.session.close();

    const again = await connect(one, name);
    await again.answers(256);
    assert.deepEqual(again.entries[0]?.token, client.entries[0]?.token);
    again.session.acknowledge(again.entries[99]?.token ?? '');
    again.session.acknowledge(again.entries[9]?.token ?? '');
    assert.equal((await again.answers(300)).length, 300);
    await again.session.close();
    const last = await eventually(async () => {
      const client = await connect(one, name);
      await client.answers(1);
      await client.session.close();
      assert.equal(client.entries[0]?.requestId, '100');
      return client;
    });
    assert.equal(last.session.recovered, false);
  });

  it('take no acknowledgement of what was not handed over', async () => {
    const client = await connect(one, randomUUID());
    const [epoch] = client.session.token.split('.');
    for (const token of [`${epoch}.1`, `${epoch}.`, '', 'x.0', `${epoch}.0.0`])
      assert.throws(() => client.session.acknowledge(token), { code: 'invalid-request' }, token);
    client.session.acknowledge(client.session.token);
    await client.session.close();
  });

  it('fill the slot of what is refused, or fails, with its problem', async () => {
    const client = await connect(one, randomUUID());
    one.outcome = ({ id }) => (id === 'b' ? new AppError('unroutable', 'nobody takes it') : undefined);
    await client.send('a', 'b');
    await client.session.send(newPing('c', 'Internal'), requester);
    const caller = {
      ...requester.caller,
      assertMaySend: () => {
        throw new AppError('forbidden', 'no');
      },
    };
    await client.session.send(newPing('d'), { ...requester, caller });
    await client.send('e');
    const [a, e] = await sentBy(one, 'a', 'e');
    one.outcome = () => undefined;
    const failed = pong(e, {
      type: 'waybill.Problem',
      data: { status: 503, code: 'unroutable', detail: 'x' },
    });
    await append(store, [failed]);
    await reply(store, [one], [a]);
    assert.deepEqual(await client.answers(5), ['a', 'b', 'c', 'd', 'e']);
    assert.deepEqual(
      client.entries.map((entry) => codeOf(entry)),
      [undefined, 'unroutable', 'unroutable', 'forbidden', 'handler-failed'],
    );
    await client.session.close();
  });

  it('answer an event that has no reply by its deadline, and what comes behind it goes on', async () => {
    const hasty = start('hasty', { deadlineMs: 300 });
    const client = await connect(hasty, randomUUID());
    await client.send('a', 'b');
    const [, b] = await sentBy(hasty, 'a', 'b');
    await reply(store, [hasty], [b]);
    assert.deepEqual(await client.answers(2), ['a', 'b']);
    assert.equal(codeOf(client.entries[0]), 'outcome-unknown');
    assert.equal(client.entries[1]?.event.type, 'PingResponse');
    await client.session.close();
  });

  it('keep the problem of a slot until a store takes it', async () => {
    const failing = start('failing', { failingAppends: 2 });
    const client = await connect(failing, randomUUID());
    failing.outcome = () => new AppError('not-accepted', 'no dispatcher');
    await client.send('a');
    assert.deepEqual(await client.answers(1), ['a']);
    assert.equal(codeOf(client.entries[0]), 'not-accepted');
    await client.session.close();
  });

  it('whose client goes keep the problems of its slots as well', async () => {
    const failing = start('failing', { failingAppends: 2, lookEveryMs: 1_000_000 });
    const name = randomUUID();
    const gone = await connect(failing, name);
    failing.outcome = () => new AppError('unroutable', 'nobody takes it');
    await gone.send('a');
    await gone.session.close();
    const client = await connect(other, name);
    assert.deepEqual(await client.answers(1), ['a']);
    assert.equal(codeOf(client.entries[0]), 'unroutable');
    await client.session.close();
  });

  it('end when their client attaches once more: here at once, elsewhere when they look', async () => {
    const name = randomUUID();
    const first = await connect(one, name);
    await first.send('a');
    const [a] = await sentBy(one, 'a');
    const second = await connect(one, name);
    assert.equal(await first.ended, 'taken-over');
    await assert.rejects(first.send('x'), { code: 'not-accepted' });
    const third = await connect(other, name);
    await third.send('b');
    assert.equal(await second.ended, 'taken-over');
    await reply(store, [other], [...(await sentBy(other, 'b')), a]);
    assert.deepEqual(await third.answers(2), ['a', 'b']);
    await third.session.close();
  });

  it('are held back by no attach whose answer was lost, and nobody has taken over by it', async () => {
    const name = randomUUID();
    const [attached, letGo] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holding = start('holding', { onLooked: () => attached.promise.then(() => letGo.promise) });
    const held = await connect(holding, name);
    let losses = 0;
    const unheard = start('unheard', {
      isLost({ call }: StoreCall) {
        if (call === 'attach') attached.resolve();
        if (call === 'detach' && losses > 0) letGo.resolve();
        losses += 1;
        // The first word that it is let go of is lost as well.
        return losses <= 2;
      },
    });
    await assert.rejects(connect(unheard, name), { code: 'not-accepted' });
    assert.equal(await held.ended, 'lost');
    // And goes on at once: not after a deadline.
    const again = await connect(other, name);
    await again.send('a');
    await reply(store, [other], await sentBy(other, 'a'));
    assert.deepEqual(await again.answers(1), ['a']);
    await again.session.close();
  });

  it('that end together are let go of together, and again until the store answers', async () => {
    let isAway = true;
    const away = start('away', { isLost: ({ call }: StoreCall) => call === 'detach' && isAway });
    const clients = await Promise.all(ids(40).map(() => connect(away, randomUUID())));
    const closed = clients.map(({ session }) => session.close());
    const detached = () => away.calls.flatMap((call) => (call.call === 'detach' ? [call.fences.length] : []));
    await eventually(() => assert.ok(detached().length > 1));
    isAway = false;
    await Promise.all(closed);
    assert.equal(detached()[0], 40);
  });

  it('that begin together are attached together, and a token that is none harms no other', async () => {
    const crowd = start('crowd');
    const wrong = assert.rejects(connect(crowd, randomUUID(), { after: 'none' }), {
      code: 'invalid-request',
    });
    const names = ids(40).map(() => randomUUID());
    const clients = await Promise.all(names.map((name) => connect(crowd, name)));
    await wrong;
    assert.equal(crowd.calls.filter(({ call }) => call === 'attach').length, 1);
    const [first, last] = [clients[0], clients.at(-1)] as [Client, Client];
    await first.send('first');
    await last.send('last');
    await reply(store, [crowd], await sentBy(crowd, 'first', 'last'));
    assert.deepEqual([await first.answers(1), await last.answers(1)], [['first'], ['last']]);
    await Promise.all(clients.map(({ session }) => session.close()));
  });

  it('whose client has gone before its turn take nothing from where it is now', async () => {
    const crowd = start('crowd');
    const name = randomUUID();
    const client = await connect(other, name);
    await assert.rejects(connect(crowd, name, { isGone: () => true }), { code: 'client-gone' });
    assert.deepEqual(crowd.calls, []);
    await client.session.close();
  });

  it('that begin together get all that waits for them, however much it is', async () => {
    const crowd = start('crowd');
    const names = ids(4).map(() => randomUUID());
    for (const name of names) {
      const { session, send } = await connect(crowd, name);
      await send('large', 'small');
      const [large, small] = await sentBy(crowd, 'large', 'small');
      await append(store, [pong(large, { data: 'x'.repeat(200_000) }), pong(small)]);
      await session.close();
    }
    const clients = await Promise.all(names.map((name) => connect(crowd, name)));
    for (const client of clients) assert.deepEqual(await client.answers(2), ['large', 'small']);
    await Promise.all(clients.map(({ session }) => session.close()));
  });

  it('of an instance that was killed wait for a deadline, and for no more than came', async () => {
    const name = randomUUID();
    // Never looks, and never detaches.
    const killed = start('killed', { deadlineMs: 1_000, lookEveryMs: 1_000_000 });
    const dead = await connect(killed, name);
    await dead.send('a', 'b', 'c', 'd');
    const [a, , c] = await sentBy(killed, 'a', 'b', 'c', 'd');
    await reply(store, [killed], [a]);
    await dead.answers(1);
    const hasty = start('hasty', { deadlineMs: 1_000 });
    const client = await connect(hasty, name, { after: dead.entries[0]?.token });
    await client.send('e');
    await reply(store, [hasty], [...(await sentBy(hasty, 'e')), c]);
    assert.deepEqual(await client.answers(3), [undefined, 'c', 'e']);
    assert.equal(codeOf(client.entries[0]), 'outcome-unknown');
    await client.session.close();
  });

  it('say what is lost to a token of another epoch', async () => {
    const name = randomUUID();
    const client = await connect(one, name, { after: 'abc.7' });
    assert.equal(client.session.recovered, false);
    await client.answers(1);
    assert.equal(client.entries[0]?.event.type, GAP_TYPE);
    assert.deepEqual(client.entries[0]?.event.data, { from: 'abc.7', to: client.session.token });
    await client.session.close();
    await assert.rejects(connect(one, name, { after: 'nonsense' }), { code: 'invalid-request' });
  });

  it('refuse the next event of a client whose mailbox is full, until it acknowledges', async () => {
    const small = start('small', { maxEntries: 3 });
    const client = await connect(small, randomUUID());
    await client.send('a', 'b', 'c');
    await assert.rejects(client.send('d'), { code: 'mailbox-full' });
    await reply(store, [small], await sentBy(small, 'a', 'b', 'c'));
    await client.answers(3);
    await assert.rejects(client.send('d'), { code: 'mailbox-full' });
    client.session.acknowledge(client.entries[0]?.token ?? '');
    await client.send('d');
    await client.session.close();
    // By what it was pushed, not by what it finds when it looks.
    const tiny = start('tiny', { maxBytes: 1, lookEveryMs: 1_000_000 });
    const full = await connect(tiny, randomUUID());
    await full.send('a');
    await reply(store, [tiny], await sentBy(tiny, 'a'));
    await full.answers(1);
    await assert.rejects(full.send('b'), { code: 'mailbox-full' });
    await full.session.close();
  });

  it('slow a client down that has 256 events unanswered', async () => {
    const client = await connect(one, randomUUID());
    await client.send(...ids(255));
    let isTaken = false;
    const last = client.send('255').then(() => {
      isTaken = true;
    });
    const events = await sentBy(one, ...ids(256));
    assert.equal(isTaken, false);
    await reply(store, [one], events.slice(0, 1));
    await last;
    await client.session.close();
  });

  it('wait for the rate of their caller', async () => {
    const client = await connect(one, randomUUID());
    let tries = 0;
    const caller = {
      assertMaySend() {},
      countEvent() {
        tries += 1;
        if (tries === 1) throw new AppError('rate-limited', 'too fast', { retryAfterMs: 1 });
      },
    };
    await client.session.send(newPing('limited'), { ...requester, caller });
    await sentBy(one, 'limited');
    assert.equal(tries, 2);
    await client.session.close();
  });

  it('hand nothing more to a client that does not read', async () => {
    const name = randomUUID();
    const slow = await connect(one, name, { isSlow: true });
    await slow.send(...ids(8));
    const data = 'x'.repeat(100 * 1024);
    for (const event of await sentBy(one, ...ids(8))) await append(store, [pong(event, { data })]);
    await slow.answers(3);
    // By the time that it would have found more, another client has.
    const quick = await connect(one, randomUUID());
    await quick.send('q');
    await append(
      store,
      (await sentBy(one, 'q')).map((event) => pong(event)),
    );
    await quick.answers(1);
    assert.equal(slow.entries.length, 3);
    await Promise.all([slow, quick].map(({ session }) => session.close()));
  });

  it('are those of the API key that the client came with', async () => {
    const name = randomUUID();
    const mine = await connect(one, name, { apiKeyId: 'mine' });
    await mine.send('a');
    await reply(store, [one], await sentBy(one, 'a'));
    await mine.answers(1);
    const theirs = await connect(other, name, { apiKeyId: 'theirs', after: mine.entries[0]?.token });
    await theirs.answers(1);
    assert.equal(theirs.entries[0]?.event.type, GAP_TYPE);
    await mine.send('b');
    await reply(store, [one], await sentBy(one, 'b'));
    assert.deepEqual(await mine.answers(2), ['a', 'b']);
    assert.equal(theirs.entries.length, 1);
    await Promise.all([mine, theirs].map(({ session }) => session.close()));
  });

  it('are so many, of clients with proper ids, and none of a stopping instance', async () => {
    const small = start('small', { maxSessions: 1 });
    for (const id of ['', 'a b', 'x'.repeat(129), '../x'])
      await assert.rejects(connect(small, id), { code: 'invalid-request' });
    const name = randomUUID();
    const client = await connect(small, name);
    await assert.rejects(connect(small, randomUUID()), { code: 'not-accepted' });
    await client.send('a');
    await small.sessions.drain();
    assert.equal(await client.ended, 'stopping');
    await assert.rejects(connect(small, randomUUID()), { code: 'not-accepted' });
    const next = await connect(other, name);
    await next.send('b');
    await reply(store, [other], [...(await sentBy(other, 'b')), ...(await sentBy(small, 'a'))]);
    assert.deepEqual(await next.answers(2), ['a', 'b']);
    await next.session.close();
    assert.equal(small.sessions.size(), 0);
  });

  it('are measured: how many, what they have not acknowledged and for how long, how they came, what they were handed', async (t) => {
    const measured = watchMetrics(t);
    const instance = start('measured');
    assert.deepEqual(measured.gauges(), { sessions: 0, depth: 0, age: 0 });
    const name = randomUUID();
    const client = await connect(instance, name);
    await client.send('a', 'b', 'c');
    const sent = await sentBy(instance, 'a', 'b', 'c');
    const minutesAgo = new Date(Date.now() - 600_000).toISOString();
    const replies = sent.map((event) => pong(event, { time: minutesAgo }));
    await append(store, replies.slice(0, 2));
    // Nothing was pushed: it looks, and reads.
    await client.answers(2);
    const [{ push } = {}] = await append(store, replies.slice(2));
    assert.ok(push);
    instance.watches.tell({ instance: instance.name, ...push, event: replies[2] });
    await client.answers(3);

    const { age, ...others } = measured.gauges();
    assert.deepEqual(others, { sessions: 1, depth: 3 });
    assert.ok(age >= 600, `${age} s`);
    const [first, , third] = client.entries;
    client.session.acknowledge(String(third?.token));
    assert.deepEqual(measured.gauges(), { sessions: 1, depth: 0, age: 0 });
    await client.session.close();
    assert.equal(measured.gauges().sessions, 0);

    const recovered = await connect(instance, name, { after: String(third?.token) });
    await recovered.session.close();
    const gap = await connect(instance, name, { after: String(first?.token) });
    await gap.session.close();
    const counts = { new: 1, recovered: 1, gap: 1 };
    assert.deepEqual(measured.attaches(), counts);
    const { read = 0, push: pushed = 0 } = measured.entries();
    assert.equal(read + pushed, 3);
    assert.ok(read >= 2, `${read} read`);
  });
});

/** What the instances that are created from now on say of themselves. */
function watchMetrics(t: TestContext) {
  type Callback = Parameters<typeof sessionsGauge.addCallback>[0];
  const callbacks: Callback[] = [];
  // Without telemetry all gauges are one: they are told by their order.
  assert.equal(new Set([sessionsGauge, mailboxDepth, mailboxAge]).size, 1);
  t.mock.method(sessionsGauge, 'addCallback', (callback: Callback) => void callbacks.push(callback));
  function observed(): number[] {
    const values: number[] = [];
    for (const callback of callbacks) void callback({ observe: (value) => void values.push(value) });
    return values;
  }
  function countsOf(counter: typeof attaches, attribute: string): () => Record<string, number> {
    const counts: Record<string, number> = {};
    t.mock.method(counter, 'add', (value: number, attributes: Record<string, string>) => {
      const name = String(attributes[attribute]);
      counts[name] = (counts[name] ?? 0) + value;
    });
    return () => counts;
  }
  return {
    gauges() {
      const [sessions = Number.NaN, depth = Number.NaN, age = Number.NaN] = observed();
      return { sessions, depth, age };
    },
    attaches: countsOf(attaches, 'outcome'),
    entries: countsOf(mailboxEntries, 'by'),
  };
}
