/** A process that has lost one of its two connections to the broker takes nothing that it could not answer. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createManagementApi, type ManagementApi } from '@waybill/test-harness/management-api.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { createTiers, type Tiers } from './tiers.ts';

const PINGS = 40;
/** The management API tells of connections a few seconds late. */
const OPTIONS = { timeoutMs: 20_000 };

describe('when the broker lets a process have one connection only', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let api: ManagementApi;
  let tiers: Tiers;
  let web: Service;
  let dispatcher: Service;
  let listener: Service;
  before(async () => {
    broker = await freshBroker();
    api = createManagementApi({ url: String(process.env.TEST_MANAGEMENT_URL) });
    tiers = await createTiers(broker.url);
    dispatcher = await tiers.startDispatcher();
    listener = await tiers.start({ name: 'ping-listener' });
    web = await tiers.startPublicWeb();
  });
  after(async () => {
    await tiers?.stopAll();
    await broker?.close();
  });

  /** Closes a connection of that name, which cannot come back before the limit is lifted. */
  async function takeAway(name: string, count: number): Promise<void> {
    await eventually(async () => assert.equal((await api.connections(broker.vhost)).length, count), {
      timeoutMs: 20_000,
    });
    const all = await api.connections(broker.vhost);
    const found = all.find((connection) => connection.name === name);
    assert.ok(found, `no connection ${name} of ${all.map((connection) => connection.name)}`);
    await api.limitConnections(broker.vhost, count - 1);
    await api.closeConnection(found.id);
  }

  const ping = async () => (await fetch(`${web.baseUrl}/ping`, { headers: { prefer: 'wait=3' } })).status;
  const readiness = async ({ healthPort }: Service) => {
    const response = await fetch(`http://127.0.0.1:${healthPort}/health/ready`);
    return [response.status, ((await response.json()) as { reason?: string }).reason];
  };

  it('a listener that cannot publish leaves the events to others, and is not ready', async (t) => {
    const listeners = [listener, await tiers.start({ name: 'ping-listener' })];
    t.after(() => tiers.stop(listeners[1] as Service));
    const ready = async () => (await Promise.all(listeners.map(readiness))).map(([status]) => status);
    await takeAway('ping publisher', 6);
    await eventually(async () => assert.deepEqual((await ready()).sort(), [200, 503]), OPTIONS);

    const statuses = await Promise.all(Array.from({ length: PINGS }, ping));

    assert.deepEqual(new Set(statuses), new Set([200]));
    await api.limitConnections(broker.vhost, undefined);
    await eventually(async () => assert.deepEqual(await ready(), [200, 200]), OPTIONS);
  });

  it('a dispatcher that cannot take replies takes no events, and is not ready', async () => {
    await takeAway('dispatcher subscriber', 4);
    const reason = 'one of the two connections to the broker is away';
    await eventually(async () => assert.deepEqual(await readiness(dispatcher), [503, reason]), {
      timeoutMs: 20_000,
    });

    assert.equal(await ping(), 503);

    await api.limitConnections(broker.vhost, undefined);
    await eventually(async () => assert.equal(await ping(), 200), OPTIONS);
    assert.deepEqual(await readiness(dispatcher), [200, undefined]);
  });
});
