/** A process that has lost one of its two connections to the broker takes nothing that it could not answer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { rabbitmqMissing } from '@waybill/test-harness/test-broker.ts';
import { readinessOf, usePingTiers } from './ping-tiers.ts';

const PINGS = 40;

describe('when the broker lets a process have one connection only', { skip: rabbitmqMissing }, () => {
  const system = usePingTiers();

  /** Closes a connection of that name, which cannot come back before the limit is lifted. */
  async function takeAway(name: string, count: number): Promise<void> {
    const { api, broker } = system();
    // The management API tells of connections a few seconds late.
    await eventually(async () => assert.equal((await api.connections(broker.vhost)).length, count));
    const all = await api.connections(broker.vhost);
    const found = all.find((connection) => connection.name === name);
    assert.ok(found, `no connection ${name} of ${all.map((connection) => connection.name)}`);
    await api.limitConnections(broker.vhost, count - 1);
    await api.closeConnection(found.id);
  }

  const liftLimit = () => system().api.limitConnections(system().broker.vhost, undefined);
  const ping = async () =>
    (await fetch(`${system().web.baseUrl}/ping`, { headers: { prefer: 'wait=3' } })).status;

  it('a listener that cannot publish leaves the events to others, and is not ready', async (t) => {
    const { tiers, listener } = system();
    const other = await tiers.start({ name: 'ping-listener' });
    t.after(() => tiers.stop(other));
    const ready = async () =>
      (await Promise.all([listener, other].map(readinessOf))).map(([status]) => status);
    await takeAway('ping publisher', 6);
    await eventually(async () => assert.deepEqual((await ready()).sort(), [200, 503]));

    const statuses = await Promise.all(Array.from({ length: PINGS }, ping));

    assert.deepEqual(new Set(statuses), new Set([200]));
    await liftLimit();
    await eventually(async () => assert.deepEqual(await ready(), [200, 200]));
  });

  it('a dispatcher that cannot take replies takes no events, and is not ready', async () => {
    const { dispatcher } = system();
    await takeAway('dispatcher subscriber', 4);
    const reason = 'one of the two connections to the broker is away';
    await eventually(async () => assert.deepEqual(await readinessOf(dispatcher), [503, reason]));

    assert.equal(await ping(), 503);

    await liftLimit();
    await eventually(async () => assert.equal(await ping(), 200));
    assert.deepEqual(await readinessOf(dispatcher), [200, undefined]);
  });
});
