import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { DEAD_LETTER_HEADERS } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import { BATCH_CONTENT_TYPE, EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { hang, type OnBatch, refuse, respond } from '@waybill/test-harness/stand-in.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { SignJWT } from 'jose';
import {
  addressOf,
  type Consumer,
  consume,
  createReplyPublisher,
  eventsOf,
  type Instance,
  keys,
  newReplies,
  publishRaw,
  publishReplies,
  startDispatcher,
  startInstance,
  takeAll,
} from './dispatcher.fixture.ts';

describe('replies from the broker', () => {
  let broker: TestBroker;
  let dispatcher: Service;
  let publisher: Publisher;
  let deadLetters: Consumer;
  const instances: Instance[] = [];

  before(async () => {
    broker = await freshBroker();
    dispatcher = await startDispatcher(broker.url);
    publisher = await createReplyPublisher(broker.url);
    deadLetters = await consume(broker.url, { deadLetters: true });
  });
  after(async () => {
    await publisher.close();
    await deadLetters.close();
    await dispatcher.stop();
    await broker.close();
  });
  beforeEach(() => {
    deadLetters.messages.length = 0;
  });
  afterEach(async () => {
    await Promise.all(instances.splice(0).map(({ close }) => close()));
  });

  async function start(options: Parameters<typeof startInstance>[0] = {}): Promise<Instance> {
    const instance = await startInstance(options);
    instances.push(instance);
    return instance;
  }

  const ids = (events: CloudEvent[]) => events.map(({ id }) => id).sort();
  const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

  it('are delivered to the instance they are for, those of a message together', async () => {
    const [first, second] = [await start(), await start()];
    const forFirst = newReplies(first.replyto, 10, { data: { kept: true }, expirytime: inMs(60_000) });
    const forSecond = newReplies(second.replyto, 3);
    await publishReplies(publisher, forFirst);
    await publishReplies(publisher, forSecond);
    await first.deliveredAll(10);
    await second.deliveredAll(3);
    await broker.emptied();
    assert.deepEqual(first.batches, [forFirst]);
    assert.deepEqual(second.batches, [forSecond]);
  });

  const deadInstances: Record<string, OnBatch | undefined> = {
    'refuses connections': undefined,
    hangs: hang,
    'answers 500': respond(500),
  };
  for (const [name, onBatch] of Object.entries(deadInstances))
    it(`pass by an address that ${name}, and come to it once it is well, those not expired`, async () => {
      const dead = await start({ onBatch });
      if (!onBatch) await dead.close();
      // More than the dispatcher takes at once: an address that held its deliveries would stop all others.
      const lasting = newReplies(dead.replyto, 300, { expirytime: inMs(60_000) });
      const shortLived = newReplies(dead.replyto, 6, { expirytime: inMs(2_000) });
      await Promise.all([...lasting, ...shortLived].map((reply) => publishReplies(publisher, [reply])));

      const alive = await start();
      for (const reply of newReplies(alive.replyto, 20)) await publishReplies(publisher, [reply]);
      await alive.deliveredAll(20);
      assert.ok(
        Date.now() < expiryMs(lasting[0] as CloudEvent) - 40_000,
        'the dead address delayed the other',
      );

      await eventually(() => assert.ok(Date.now() > expiryMs(shortLived[0] as CloudEvent)));
      const attempts = dead.batches.length;
      const well = onBatch ? dead : await start({ port: dead.port });
      well.onBatch = takeAll;
      await broker.emptied();
      const delivered = well.batches.slice(onBatch ? attempts : 0).flat();
      assert.deepEqual([...new Set(ids(delivered))], ids(lasting));
    });

  it('that only tell of progress do not wait for an address that is failing', async () => {
    const instance = await start({ onBatch: respond(500) });
    const progress = newReplies(instance.replyto, 1, { type: 'waybill.Progress' });
    await publishReplies(publisher, progress);
    await eventually(() => assert.equal(instance.batches.length, 1));
    instance.onBatch = takeAll;
    const replies = newReplies(instance.replyto, 2);
    await publishReplies(publisher, replies);
    await broker.emptied();
    assert.deepEqual(
      [
        ...new Set(
          instance.batches
            .slice(1)
            .flat()
            .map(({ id }) => id),
        ),
      ].sort(),
      ids(replies),
    );
  });

  it('are dropped when public-web says that the instance is another one', async () => {
    const instance = await start({ onBatch: respond(410) });
    await publishReplies(publisher, newReplies(instance.replyto, 2));
    await instance.batch(0);
    await broker.emptied();
    assert.equal(instance.batches.length, 1);
    assert.equal(deadLetters.messages.length, 0);
  });

  it('that public-web cannot read are dead-lettered, and those beside them are delivered', async () => {
    const instance = await start();
    const [bad, ...good] = newReplies(instance.replyto, 3) as [CloudEvent, ...CloudEvent[]];
    instance.onBatch = (events, response) =>
      (events.some(({ id }) => id === bad.id) ? refuse('too-large') : takeAll)(events, response);
    await publishReplies(publisher, [bad, ...good]);
    await deadLetters.until((messages) => messages.length > 0);
    await broker.emptied();
    const [letter, ...others] = deadLetters.messages as [Delivery];
    assert.equal(others.length, 0);
    assert.equal(letter.headers[DEAD_LETTER_HEADERS.reason], 'unparsable');
    assert.deepEqual(ids(eventsOf(letter)), [bad.id]);
    assert.deepEqual(ids(instance.batches.slice(1).flat()), ids([bad, ...good]));
  });

  it('are dropped past their expirytime, and nobody is called', async () => {
    const instance = await start();
    const [first, late, inTime] = [
      newReplies(instance.replyto),
      newReplies(instance.replyto, 2, { expirytime: inMs(-1) }),
      newReplies(instance.replyto),
    ];
    await publishReplies(publisher, first);
    await instance.deliveredAll(1);
    await broker.emptied();
    await publishReplies(publisher, [...late, ...inTime]);
    await instance.deliveredAll(2);
    await broker.emptied();
    assert.deepEqual(instance.batches, [first, inTime]);
    assert.equal(deadLetters.messages.length, 0);
  });

  it('delivered twice are dealt with twice, which harms nobody', async () => {
    const seen = new Set<string>();
    const instance = await start({
      onBatch(events, response) {
        const unknown = events.map(({ id }) => id).filter((id) => seen.has(id));
        for (const { id } of events) seen.add(id);
        response.end(JSON.stringify({ unknown }));
      },
    });
    const replies = newReplies(instance.replyto, 2);
    await publishReplies(publisher, replies);
    await publishReplies(publisher, replies);
    await instance.deliveredAll(4);
    await broker.emptied();
    assert.deepEqual(seen, new Set(ids(replies)));
    assert.equal(deadLetters.messages.length, 0);
  });

  it('to an address that is forged, expired or of an unknown kind are dead-lettered as that, and nobody is called', async () => {
    const instance = await start();
    const url = `${instance.url}/dispatch`;
    const others = deriveInternalKeys(['the-secret-of-some-other-system-!']);
    const [{ kid, secret }] = keys.replyAddress as [{ kid: string; secret: Buffer }];
    const sign = (claims: Record<string, unknown>) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(secret);
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const claims = { kind: 'callback', url, instance: 'x', exp: Math.ceil(Date.now() / 1_000) + 60 };
    const useless: Record<string, [replyto: unknown, reason: string]> = {
      'another secret': [addressOf(url, 'x', others.replyAddress), 'forged-reply-address'],
      'another purpose': [addressOf(url, 'x', keys.call), 'forged-reply-address'],
      unsigned: [`${encode({ alg: 'none', kid })}.${encode(claims)}.`, 'forged-reply-address'],
      'a bare URL': [url, 'forged-reply-address'],
      absent: [undefined, 'forged-reply-address'],
      expired: [await sign({ ...claims, exp: Math.floor(Date.now() / 1_000) }), 'expired-reply-address'],
      'an unknown kind': [await sign({ ...claims, kind: 'webhook' }), 'unknown-reply-address'],
      'a kind that every object has': [
        await sign({ ...claims, kind: 'constructor' }),
        'unknown-reply-address',
      ],
      'not HTTP': [await sign({ ...claims, url: 'file:///etc/passwd' }), 'unknown-reply-address'],
    };
    for (const [name, [replyto, reason]] of Object.entries(useless)) {
      const [reply, good] = [...newReplies(replyto), ...newReplies(instance.replyto)] as [
        CloudEvent,
        CloudEvent,
      ];
      deadLetters.messages.length = 0;
      await publishReplies(publisher, [reply, good]);
      await deadLetters.until((messages) => messages.length > 0);
      const [letter] = deadLetters.messages as [Delivery];
      assert.equal(letter.headers[DEAD_LETTER_HEADERS.reason], reason, name);
      assert.deepEqual(ids(eventsOf(letter)), [reply.id], name);
      assert.equal(letter.contentType, EVENT_CONTENT_TYPE);
    }
    await instance.deliveredAll(Object.keys(useless).length);
    await broker.emptied();
    const replyIds = new Set(instance.delivered());
    assert.equal(replyIds.size, Object.keys(useless).length, 'only the good ones');
  });

  it('that cannot be parsed are dead-lettered raw, and the next message is delivered', async () => {
    const instance = await start();
    const unparsable = [
      { contentType: EVENT_CONTENT_TYPE, body: Buffer.from('{"specversion":') },
      { contentType: EVENT_CONTENT_TYPE, body: Buffer.from([0xff, 0x00]) },
      { contentType: BATCH_CONTENT_TYPE, body: Buffer.from('[{"id":1}]') },
      { contentType: 'text/plain', body: Buffer.from('hello') },
      { contentType: '', body: Buffer.alloc(0) },
    ];
    for (const message of unparsable) await publishRaw(publisher, message);
    await publishReplies(publisher, newReplies(instance.replyto));
    await instance.deliveredAll(1);
    await deadLetters.until((messages) => messages.length >= unparsable.length);
    assert.ok(
      deadLetters.messages.every(({ headers }) => headers[DEAD_LETTER_HEADERS.reason] === 'unparsable'),
    );
    const bodies = (messages: { body: Buffer }[]) =>
      messages.map(({ body }) => body.toString('latin1')).sort();
    assert.deepEqual(bodies(deadLetters.messages), bodies(unparsable));
  });
});
