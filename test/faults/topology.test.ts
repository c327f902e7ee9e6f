/** Somebody deletes or changes, at the broker, what the services have declared there: they mend it, and say so. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  EVENTS_EXCHANGE,
  listenerTopology,
  serviceQueues,
  TYPES_EXCHANGE,
} from '@waybill/common/broker/amqp-topology.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { rabbitmqMissing } from '@waybill/test-harness/test-broker.ts';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { readinessOf, usePingTiers } from './ping-tiers.ts';

const TYPE = 'PingRequest';
const ALL = { configure: '.*', write: '.*', read: '.*' };
const topology = listenerTopology('ping', [TYPE]);
const { work, retry } = serviceQueues('ping');

// Two systems, as each test waits for services to look again, most of its time.
describe('what a service has declared', { skip: rabbitmqMissing, concurrency: 2 }, () => {
  describe('and somebody deletes', { concurrency: 1 }, () => {
    const bench = useBench();

    const deletions: [string, (channel: Channel) => Promise<unknown>][] = [
      ...topology.exchanges.map(({ name }): (typeof deletions)[0] => [
        `exchange ${name}`,
        (channel) => channel.deleteExchange(name),
      ]),
      ...topology.queues.map(({ name }): (typeof deletions)[0] => [
        `queue ${name}`,
        (channel) => channel.deleteQueue(name),
      ]),
      ...topology.bindings.map(({ queue, exchange, routingKey }): (typeof deletions)[0] => [
        `binding of ${queue} to ${exchange}`,
        (channel) => channel.unbindQueue(queue, exchange, routingKey),
      ]),
    ];
    for (const [what, remove] of deletions)
      it(`is declared anew within seconds, and clients are told 503 until then: ${what}`, async (t) => {
        await remove(bench.channel());

        const told = await bench.toldUntilHealed();

        t.diagnostic(`${told.length} told ${[...new Set(told)]}`);
        assert.deepEqual(
          told.filter((answer) => answer !== '503 not-accepted'),
          [],
        );
        await bench.isThere();
      });
  });

  describe('and is gone, or has become another', { concurrency: 1 }, () => {
    const bench = useBench();
    const { system, send, ready, channel } = bench;

    for (const { what, remove } of [
      { what: 'its exchange', remove: () => channel().deleteExchange(EVENTS_EXCHANGE) },
      { what: 'its binding', remove: () => channel().unbindQueue(work, EVENTS_EXCHANGE, TYPE) },
    ])
      it(`is missed: a dispatcher to which a type has come without ${what} is not ready, says so, and is ready again`, async () => {
        const { dispatcher } = system();
        await ready();
        const lines = dispatcher.logs.length;
        await remove();

        const { status } = await send();

        // The listener may have been there first.
        if (status === 200) return;
        assert.equal(status, 503);
        assert.match(await readiness(dispatcher), /^503 .*(waybill\.events|no queue takes PingRequest)/);
        const said = () => dispatcher.logs.slice(lines);
        await eventually(() => assert.ok(said().some(({ level }) => level === 'warn' || level === 'error')));
        await ready();
        assert.equal((await send()).status, 200);
      });

    it('is no more than what listeners take: any other type is 404, also while an exchange is gone', async () => {
      assert.deepEqual(await send('behaviours.Nobody'), { status: 404, code: 'unroutable' });
      await channel().deleteExchange(TYPES_EXCHANGE);
      await eventually(async () => assert.equal((await send('behaviours.Nobody')).status, 404));
      await bench.isThere();
    });

    it('may have become another: a queue with other arguments is told by readiness, until it is gone', async (t) => {
      const name = retry(200);
      await channel().deleteQueue(name);
      await channel().assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
      t.after(ready);
      // Who consumes is told, and connects again.
      await channel().deleteQueue(work);

      await eventually(async () =>
        assert.match(
          await readiness(system().listener),
          /^503 .*PRECONDITION_FAILED.*waybill\.ping\.retry\.200/,
        ),
      );
      await channel().deleteQueue(name);
    });

    it('needs permissions: one that is taken away is told by readiness, and is enough again once it is back', async (t) => {
      const { api, broker, dispatcher, listener } = system();
      const { username } = new URL(broker.url);
      t.after(() => api.setPermissions(broker.vhost, username, ALL));
      await api.setPermissions(broker.vhost, username, { ...ALL, configure: '^$' });
      for (const service of [dispatcher, listener])
        await eventually(async () => assert.match(await readiness(service), /^503 .*ACCESS_REFUSED/));
      assert.equal((await send()).status, 200);

      await api.setPermissions(broker.vhost, username, ALL);

      await ready();
    });
  });
});

/** One of each tier, and somebody at their broker. */
function useBench() {
  let model: ChannelModel;
  let channel: Channel;
  // Before the broker goes.
  after(() => model?.close());
  const system = usePingTiers();
  before(async () => {
    model = await connect(system().broker.url);
    channel = await model.createChannel();
  });

  async function send(type = TYPE): Promise<{ status: number; code?: string }> {
    const response = await fetch(`${system().web.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=5' },
      body: JSON.stringify({ type, data: {} }),
    });
    const { code } = (await response.json()) as { code?: string };
    return { status: response.status, code };
  }

  return {
    system,
    send,
    channel: () => channel,

    /** Sends one after the other until one is answered, twice; resolves with what clients were told before. */
    async toldUntilHealed(): Promise<string[]> {
      const told: string[] = [];
      let answered = 0;
      await eventually(async () => {
        const { status, code } = await send();
        answered = status === 200 ? answered + 1 : 0;
        if (status !== 200) told.push(`${status} ${code}`);
        assert.equal(answered, 2, told.join());
      });
      return told;
    },

    /** Resolves when every service that has declared something is ready. */
    ready: () =>
      eventually(async () => {
        const { dispatcher, listener } = system();
        for (const service of [dispatcher, listener]) assert.equal(await readiness(service), '200 ');
      }),

    /** Resolves when everything is there that is declared. */
    isThere: () =>
      eventually(async () => {
        const look = await model.createChannel();
        look.on('error', () => {});
        for (const { name } of topology.exchanges) await look.checkExchange(name);
        for (const { name } of topology.queues) await look.checkQueue(name);
        await look.close();
        const bindings = await system().api.bindings(system().broker.vhost);
        for (const binding of topology.bindings)
          assert.ok(bindings.some((found) => isDeepStrictEqual(found, binding)));
      }),
  };
}

const readiness = async (service: Service) => (await readinessOf(service)).join(' ');
