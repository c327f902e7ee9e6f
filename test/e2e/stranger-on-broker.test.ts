/** What the broker's port gives to whom (docs/security.md): without credentials, with a service's, and with all rights but no key. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { EVENTS_EXCHANGE } from '@waybill/common/broker/amqp-topology.ts';
import { DEAD_LETTER_HEADERS } from '@waybill/common/broker/dead-letter.ts';
import type { Publisher } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { EVENT_CONTENT_TYPE, encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { createManagementApi, type ManagementApi } from '@waybill/test-harness/management-api.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, connect } from 'amqplib';
import { servicePermissions } from '../../bin/plain/broker-users.mjs';
import {
  type Consumer,
  consume,
  createReplyPublisher,
  publishReplies,
} from '../../packages/dispatcher/src/dispatcher.fixture.ts';
import { forgedAddresses, startTap, startTrap, type Tap, type Trap } from './stranger.fixture.ts';
import { type System, startSystem } from './system.ts';

describe('whoever may publish to the broker but has no key of public-web', () => {
  let broker: TestBroker;
  let system: System;
  let tap: Tap;
  let trap: Trap;
  let deadLetters: Consumer;
  let publisher: Publisher;
  before(async () => {
    [broker, trap] = await Promise.all([freshBroker(), startTrap()]);
    system = await startSystem({ amqpUrl: broker.url, env: { PUBLIC_EVENT_TYPES: 'Waiting' } });
    [tap, deadLetters, publisher] = await Promise.all([
      startTap(broker.url),
      consume(broker.url, { deadLetters: true }),
      createReplyPublisher(broker.url),
    ]);
  });
  after(async () => {
    trap?.close();
    await Promise.all([tap?.close(), deadLetters?.close(), publisher?.close(0)]);
    await system?.stop();
    await broker?.close();
  });

  /** Resolves when everything in `ids` has been dead-lettered, for its reply address. */
  async function deadLettered(ids: string[]): Promise<void> {
    const letters = () =>
      deadLetters.messages.filter(({ body }) => ids.some((id) => body.toString().includes(id)));
    await deadLetters.until(() => letters().length >= ids.length);
    for (const { headers } of letters())
      assert.match(String(headers[DEAD_LETTER_HEADERS.reason]), /^(forged|expired|unknown)-reply-address$/);
  }

  it('answers no client with a forged reply address, though it knows the correlation id', async () => {
    const publicWeb = system.publicWebs[0] as Service;
    const event = { specversion: '1.0', id: randomUUID(), source: '/client', type: 'Waiting' };
    const answered = fetch(`${publicWeb.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': EVENT_CONTENT_TYPE },
      body: JSON.stringify(event),
    });
    const { correlationid, replyto } = await tap.event(event.id);
    const addresses = forgedAddresses(`http://127.0.0.1:${publicWeb.internalPort}/dispatch`, replyto);
    const replies = [...addresses, ...forgedAddresses(`${trap.url}/dispatch`, replyto)].map(
      (replyto): CloudEvent => ({
        ...{ specversion: '1.0', id: randomUUID(), source: '/forged', type: 'Forged' },
        ...{ correlationid, replyto },
      }),
    );
    for (const reply of replies) await publishReplies(publisher, [reply]);
    await deadLettered(replies.map(({ id }) => id));
    assert.equal(trap.calls(), 0);

    // It is still waiting: for the one reply that comes to the address it was given.
    const reply = { ...event, type: 'Answer', correlationid, replyto } as CloudEvent;
    await publishReplies(publisher, [reply]);
    const response = await answered;
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as CloudEvent).type, 'Answer');
  });

  it('has a listener work, but nobody called with what it answers', async () => {
    const events = forgedAddresses(`${trap.url}/dispatch`, undefined).map(
      (replyto): CloudEvent => ({
        ...{ specversion: '1.0', id: randomUUID(), source: '/forged', type: 'PingRequest', data: {} },
        ...{ correlationid: randomUUID(), replyto },
      }),
    );
    for (const event of events) {
      const message = encodeMessage([encodeEvent(event)]);
      await publisher.publish({ to: { type: event.type }, ...message });
    }
    await deadLettered(events.map(({ correlationid }) => String(correlationid)));
    assert.equal(trap.calls(), 0);
  });
});

describe('the port of RabbitMQ', { skip: rabbitmqMissing }, () => {
  /** With the permissions of ping-listener, in the virtual host of this test alone. */
  const user = `ping-listener-${randomUUID()}`;
  let broker: TestBroker;
  let api: ManagementApi;
  before(async () => {
    broker = await freshBroker();
    api = createManagementApi({ url: String(process.env.TEST_MANAGEMENT_URL) });
    await api.createUser(user, 'secret');
    const permissions = servicePermissions['ping-listener'] as (typeof servicePermissions)[string];
    await api.setPermissions(broker.vhost, user, permissions);
  });
  after(async () => {
    await api?.deleteUser(user);
    await broker?.close();
  });

  function as(username: string, password: string) {
    const { hostname, port } = new URL(broker.url);
    const { vhost } = broker;
    return connect({ hostname, port: Number(port), vhost, username, password }, { timeout: 10_000 });
  }
  const asOwner = () => connect(broker.url);

  it('lets nobody in without a user and its password', async () => {
    const strangers = [
      ['nobody', 'secret'],
      [user, 'wrong'],
      [user, ''],
      ['guest', 'wrong'],
    ] as const;
    for (const [name, password] of strangers)
      await assert.rejects(as(name, password), /ACCESS_REFUSED|403/, name);
  });

  it("keeps a service's user from another service's queue, and from names that are not ours", async () => {
    const model = await asOwner();
    const owner = await model.createChannel();
    await owner.assertQueue('waybill.shop', { durable: true });
    const attempts: Record<string, (channel: Channel) => Promise<unknown>> = {
      consume: (channel) => channel.consume('waybill.shop', () => {}),
      get: (channel) => channel.get('waybill.shop'),
      purge: (channel) => channel.purgeQueue('waybill.shop'),
      delete: (channel) => channel.deleteQueue('waybill.shop'),
      bind: (channel) => channel.bindQueue('waybill.shop', EVENTS_EXCHANGE, 'PingRequest'),
      'declare a queue of its own': (channel) => channel.assertQueue('mine', { durable: true }),
    };
    await owner.assertExchange(EVENTS_EXCHANGE, 'topic', { durable: true });
    const stranger = await as(user, 'secret');
    for (const [name, attempt] of Object.entries(attempts)) {
      const channel = await stranger.createChannel();
      channel.on('error', () => {});
      await assert.rejects(attempt(channel), /ACCESS_REFUSED/, name);
    }
    await Promise.all([stranger.close(), model.close()]);
  });

  it("gives a service's user what docs/security.md says it does: copies of all events, and all replies", async () => {
    const model = await asOwner();
    const owner = await model.createChannel();
    await Promise.all(['waybill.shop', 'waybill.replies'].map((queue) => owner.assertQueue(queue)));
    await owner.assertExchange(EVENTS_EXCHANGE, 'topic', { durable: true });
    const stranger = await as(user, 'secret');
    const channel = await stranger.createConfirmChannel();

    await channel.assertQueue('waybill.ping');
    await channel.bindQueue('waybill.ping', EVENTS_EXCHANGE, '#');
    channel.publish(EVENTS_EXCHANGE, 'ShopRequest', Buffer.from('an event of the shop'));
    channel.sendToQueue('waybill.replies', Buffer.from('a reply'));
    channel.sendToQueue('waybill.shop', Buffer.from('past the exchange'));
    await channel.waitForConfirms();
    assert.equal(String(await bodyOf(channel, 'waybill.ping')), 'an event of the shop');
    assert.equal(String(await bodyOf(channel, 'waybill.replies')), 'a reply');
    assert.equal(String(await bodyOf(owner, 'waybill.shop')), 'past the exchange');
    await channel.deleteQueue('waybill.replies');
    await Promise.all([stranger.close(), model.close()]);
  });
});

/** Of the next message in `queue`. */
async function bodyOf(channel: Channel, queue: string): Promise<Buffer | undefined> {
  const message = await channel.get(queue, { noAck: true });
  return message ? message.content : undefined;
}
