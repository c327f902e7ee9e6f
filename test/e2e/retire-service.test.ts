import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { createAmqpPublisher } from '@waybill/common/broker/amqp-publisher.ts';
import { listenerTopology, serviceQueues } from '@waybill/common/broker/amqp-topology.ts';
import type { Destination, Publisher } from '@waybill/common/broker/ports.ts';
import { PARTITIONS } from '@waybill/common/broker/topology.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { pino } from 'pino';

const DEADLINE = { timeoutMs: 60_000 };

describe('retire-service', () => {
  let broker: TestBroker;
  let model: ChannelModel;
  let channel: Channel;
  before(async () => {
    broker = await freshBroker();
    model = await connect(broker.url);
    channel = await model.createChannel();
  });
  after(async () => {
    await model.close();
    await broker.close();
  });

  /** Declares what listeners of a service would. */
  async function declare(
    t: TestContext,
    service: string,
    types: string[],
    orderedTypes: string[] = [],
  ): Promise<Publisher> {
    const log = pino({ level: 'silent' });
    const topology = listenerTopology(service, types, [], orderedTypes);
    const publisher = await createAmqpPublisher({ url: broker.url, name: 'test', topology, log });
    t.after(() => publisher.close(0));
    await eventually(() => assert.ok(publisher.isAvailable()), DEADLINE);
    return publisher;
  }

  /** Two services, of which the new one takes the first of two types as well. */
  async function twoServices(t: TestContext) {
    const [old, next] = [`old-${randomUUID()}`, `next-${randomUUID()}`];
    const types = [`Both.${old}`, `Old.${old}`] as const;
    await declare(t, old, [...types]);
    const publisher = await declare(t, next, [types[0]]);
    const publish = (to: Destination) =>
      publisher.publish({ to, contentType: 'text/plain', body: Buffer.from(publisher.describe(to).name) });
    return { old, next, types, publisher, publish };
  }

  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['bin/retire-service.mjs', ...args, '--amqp', broker.url]).then(
      ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
      ({ code, stdout, stderr }) => ({ code: Number(code), output: String(stdout + stderr) }),
    );
  /** The management API knows a moment later what was deleted. */
  const expectGone = (service: string) =>
    eventually(async () => {
      const left = Object.keys(await broker.queues()).filter((name) => name.includes(service));
      assert.deepEqual(left, []);
    });

  it('moves what waits in every queue, deletes them, and its types that nobody else takes are taken no more', async (t) => {
    const { old, next, types, publisher, publish } = await twoServices(t);
    for (const type of [...types, ...types]) assert.equal(await publish({ type }), 'confirmed');
    for (const to of [{ isolated: old }, { service: old, delayMs: 5_000 as const }])
      assert.equal(await publish(to), 'confirmed');

    const { code, output } = await run(old, '--to', next);

    assert.equal(code, 0, output);
    assert.match(output, /moved 6 messages/);
    const { messageCount } = await channel.checkQueue(serviceQueues(next).work);
    assert.equal(messageCount, 6 + 2);
    await expectGone(old);
    assert.equal(await publish({ type: types[0] }), 'confirmed');
    assert.equal(await publish({ type: types[1] }), 'unroutable');
    assert.equal(await publisher.isDeclared(types[1]), false);
    assert.equal((await run(old, '--to', next)).code, 0, 'it cannot be run again');
  });

  it('discards what waits when told to', async (t) => {
    const { old, types, publish } = await twoServices(t);
    assert.equal(await publish({ type: types[1] }), 'confirmed');

    const { code, output } = await run(old, '--discard');

    assert.equal(code, 0, output);
    assert.match(output, /discarded 1 messages/);
    await expectGone(old);
  });

  it('refuses while the service has consumers, or there is no service to move to, and changes nothing', async (t) => {
    const { old, next, types, publisher, publish } = await twoServices(t);
    const { consumerTag } = await channel.consume(serviceQueues(old).isolated, () => {});
    const running = await run(old, '--to', next);
    await channel.cancel(consumerTag);
    const nowhere = await run(old, '--to', 'nobody');

    assert.deepEqual([running.code, nowhere.code], [1, 1]);
    assert.match(running.output, /has 1 consumers: stop the listeners/);
    assert.match(nowhere.output, /there is no service nobody/);
    assert.equal(await publisher.isDeclared(types[1]), true);
    assert.equal(await publish({ type: types[1] }), 'confirmed');
  });

  it('deletes nothing when a listener comes back while it runs', async (t) => {
    const { old, next, types, publish } = await twoServices(t);
    assert.equal(await publish({ type: types[1] }), 'confirmed');
    const { work } = serviceQueues(old);

    const running = run(old, '--to', next);
    await eventually(async () => {
      const { messageCount } = await channel.checkQueue(serviceQueues(next).work);
      assert.equal(messageCount, 1);
    }, DEADLINE);
    const { consumerTag } = await channel.consume(work, () => {});
    const { code, output } = await running;
    await channel.cancel(consumerTag);

    assert.equal(code, 1, output);
    assert.match(output, /has 1 consumers: stop the listeners/);
    assert.ok((await broker.queues())[work]);
  });

  it('ends the order of a service: what waits in its partitions is for its work queue, as is what comes then', async (t) => {
    const service = `ordered-${randomUUID()}`;
    const type = `T.${service}`;
    const publisher = await declare(t, service, [type], [type]);
    const publish = (partition: number) =>
      publisher.publish({ to: { type, partition }, contentType: 'text/plain', body: Buffer.from('x') });
    for (const partition of PARTITIONS) assert.equal(await publish(partition), 'confirmed');
    await publisher.close();

    const { code, output } = await run(service, '--partitions');

    assert.equal(code, 0, output);
    assert.match(output, /moved 8 messages/);
    const { work } = serviceQueues(service);
    assert.equal((await channel.checkQueue(work)).messageCount, PARTITIONS.length);
    const after = await declare(t, service, [type]);
    assert.equal(
      await after.publish({ to: { type, partition: 0 }, contentType: '', body: Buffer.alloc(0) }),
      'unroutable',
    );
  });

  it('moves what comes into a partition while it empties it', async (t) => {
    const service = `ordered-${randomUUID()}`;
    const type = `T.${service}`;
    const publisher = await declare(t, service, [type], [type]);
    const [partition] = PARTITIONS;
    const { work } = serviceQueues(service);
    let published = 0;
    /** As a listener sends on what came by the type: no binding that is taken away ends it. */
    const publish = async () => {
      const to = { service, partition };
      assert.equal(await publisher.publish({ to, contentType: '', body: Buffer.alloc(0) }), 'confirmed');
      published += 1;
    };
    await Promise.all(Array.from({ length: 40 }, publish));

    const running = run(service, '--partitions');
    await eventually(
      async () => {
        const { messageCount } = await channel.checkQueue(work);
        if (messageCount > 0) await publish();
        assert.ok(messageCount >= 40);
      },
      { ...DEADLINE, intervalMs: 1 },
    );
    const { code, output } = await running;

    assert.equal(code, 0, output);
    assert.ok(published > 40);
    assert.match(output, new RegExp(`moved ${published} messages`));
    assert.equal((await channel.checkQueue(work)).messageCount, published);
  });

  it('ends that a type goes to a service that keeps others', async (t) => {
    const { old, types, publisher, publish } = await twoServices(t);

    assert.equal((await run(old, '--type', types[1])).code, 0);

    assert.equal(await publish({ type: types[1] }), 'unroutable');
    assert.equal(await publisher.isDeclared(types[1]), false);
    assert.equal(await publish({ type: types[0] }), 'confirmed');
    assert.equal((await channel.checkQueue(serviceQueues(old).work)).messageCount, 1);
  });

  for (const args of [
    [],
    ['ping'],
    ['ping', '--to', 'ping'],
    ['replies', '--discard'],
    ['a', 'b', '--discard'],
  ])
    it(`says what is wrong with ${args.join(' ') || 'nothing'}`, async () => {
      const { code, output } = await run(...args);
      assert.equal(code, 1);
      assert.match(output, /^[^\n]*--help\n$/);
    });
});
