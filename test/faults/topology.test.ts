/** Somebody deletes or changes, at the broker, what the services have declared there: they mend it, and say so. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  type Binding,
  EVENTS_EXCHANGE,
  listenerTopology,
  serviceQueues,
  TYPES_EXCHANGE,
} from '@waybill/common/broker/amqp-topology.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createManagementApi, type ManagementApi } from '@waybill/test-harness/management-api.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { createTiers, type Tiers } from './tiers.ts';

/** Seconds; the rest is for a busy machine. */
const HEALED = { timeoutMs: 15_000 };
const TYPE = 'PingRequest';
const ALL = { configure: '.*', write: '.*', read: '.*' };

describe('what a service has declared', { skip: rabbitmqMissing }, () => {
  const topology = listenerTopology('ping', [TYPE]);
  const { work, retry } = serviceQueues('ping');
  let broker: TestBroker;
  let tiers: Tiers;
  let web: Service;
  let dispatcher: Service;
  let listener: Service;
  let api: ManagementApi;
  let model: ChannelModel;
  let channel: Channel;
  before(async () => {
    broker = await freshBroker();
    api = createManagementApi({ url: String(process.env.TEST_MANAGEMENT_URL) });
    tiers = await createTiers(broker.url);
    dispatcher = await tiers.startDispatcher();
    listener = await tiers.start({ name: 'ping-listener' });
    web = await tiers.startPublicWeb();
    model = await connect(broker.url);
    channel = await model.createChannel();
  });
  after(async () => {
    await model?.close();
    await tiers?.stopAll();
    await broker?.close();
  });

  async function send(type = TYPE): Promise<{ status: number; code?: string }> {
    const response = await fetch(`${web.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=5' },
      body: JSON.stringify({ type, data: {} }),
    });
    const { code } = (await response.json()) as { code?: string };
    return { status: response.status, code };
  }

  /** Sends one after the other until one is answered, twice; resolves with what clients were told before. */
  async function toldUntilHealed(): Promise<string[]> {
    const told: string[] = [];
    let answered = 0;
    await eventually(async () => {
      const { status, code } = await send();
      answered = status === 200 ? answered + 1 : 0;
      if (status !== 200) told.push(`${status} ${code}`);
      assert.equal(answered, 2, told.join());
    }, HEALED);
    return told;
  }

  const readiness = async ({ healthPort }: Service) => {
    const response = await fetch(`http://127.0.0.1:${healthPort}/health/ready`);
    return `${response.status} ${((await response.json()) as { reason?: string }).reason}`;
  };
  const ready = () =>
    eventually(async () => {
      for (const service of [dispatcher, listener]) assert.equal(await readiness(service), '200 undefined');
    }, HEALED);

  async function assertThere(): Promise<void> {
    await eventually(async () => {
      const look = await model.createChannel();
      look.on('error', () => {});
      for (const { name } of topology.exchanges) await look.checkExchange(name);
      for (const { name } of topology.queues) await look.checkQueue(name);
      await look.close();
      const bindings = await api.bindings(broker.vhost);
      for (const binding of topology.bindings)
        assert.ok(bindings.some((found) => isDeepStrictEqual(found, binding)));
    }, HEALED);
  }

  const deletions: [string, () => Promise<unknown>][] = [
    ...topology.exchanges.map(({ name }): [string, () => Promise<unknown>] => [
      `exchange ${name}`,
      () => channel.deleteExchange(name),
    ]),
    ...topology.queues.map(({ name }): [string, () => Promise<unknown>] => [
      `queue ${name}`,
      () => channel.deleteQueue(name),
    ]),
    ...topology.bindings.map(({ queue, exchange, routingKey }: Binding): [string, () => Promise<unknown>] => [
      `binding of ${queue} to ${exchange}`,
      () => channel.unbindQueue(queue, exchange, routingKey),
    ]),
  ];
  for (const [what, remove] of deletions)
    it(`is declared anew within seconds, and clients are told 503 until then: ${what}`, async (t) => {
      await ready();
      await remove();

      const told = await toldUntilHealed();

      t.diagnostic(`${told.length} told ${[...new Set(told)]}`);
      assert.deepEqual(
        told.filter((answer) => answer !== '503 not-accepted'),
        [],
      );
      await assertThere();
    });

  for (const { what, remove } of [
    { what: 'its exchange', remove: () => channel.deleteExchange(EVENTS_EXCHANGE) },
    { what: 'its binding', remove: () => channel.unbindQueue(work, EVENTS_EXCHANGE, TYPE) },
  ])
    it(`is missed: a dispatcher to which a type has come without ${what} is not ready, says so, and is ready again`, async () => {
      await ready();
      const lines = dispatcher.logs.length;
      await remove();

      const { status } = await send();

      // The listener may have been there first.
      if (status === 200) return;
      assert.equal(status, 503);
      assert.match(await readiness(dispatcher), /^503 .*(waybill\.events|no queue takes PingRequest)/);
      assert.ok(dispatcher.logs.slice(lines).some(({ level }) => level === 'warn' || level === 'error'));
      await ready();
      assert.equal((await send()).status, 200);
    });

  it('is no more than what listeners take: any other type is 404, also while an exchange is gone', async () => {
    assert.deepEqual(await send('behaviours.Nobody'), { status: 404, code: 'unroutable' });
    await channel.deleteExchange(TYPES_EXCHANGE);
    await eventually(async () => assert.equal((await send('behaviours.Nobody')).status, 404), HEALED);
    await assertThere();
  });

  it('may have become another: a queue with other arguments is told by readiness, until it is gone', async (t) => {
    const name = retry(200);
    await channel.deleteQueue(name);
    await channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    t.after(ready);
    // Who consumes is told, and connects again.
    await channel.deleteQueue(work);

    await eventually(
      async () =>
        assert.match(await readiness(listener), /^503 .*PRECONDITION_FAILED.*waybill\.ping\.retry\.200/),
      HEALED,
    );
    await channel.deleteQueue(name);
  });

  it('needs permissions: one that is taken away is told by readiness, and is enough again once it is back', async (t) => {
    const { username } = new URL(broker.url);
    t.after(() => api.setPermissions(broker.vhost, username, ALL));
    await api.setPermissions(broker.vhost, username, { ...ALL, configure: '^$' });
    for (const service of [dispatcher, listener])
      await eventually(async () => assert.match(await readiness(service), /^503 .*ACCESS_REFUSED/), HEALED);
    assert.equal((await send()).status, 200);

    await api.setPermissions(broker.vhost, username, ALL);

    await ready();
  });
});
