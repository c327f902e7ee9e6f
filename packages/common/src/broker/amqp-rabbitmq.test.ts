/** What only a RabbitMQ of one's own can be asked for. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createManagementApi } from '@waybill/test-harness/management-api.ts';
import { findRabbitmq, type Rabbitmq, startRabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { pino } from 'pino';
import { available, createAmqpBench } from './amqp-bench.fixture.ts';
import { describeServerFaults } from './amqp-reconnecting.fixture.ts';
import { messageTo, publishAll, soon } from './contract-bench.fixture.ts';

describe('a RabbitMQ in trouble', { skip: findRabbitmq() ? false : 'RabbitMQ is not installed' }, () => {
  let rabbitmq: Rabbitmq;
  before(async () => {
    rabbitmq = await startRabbitmq();
  });
  after(() => rabbitmq.stop());

  const contract = {
    name: 'RabbitMQ',
    url: () => rabbitmq.url,
    closeConnections: () => rabbitmq.ctl('close_all_connections', 'test'),
  };
  describeServerFaults(contract);

  it('is reached by names and a password full of special characters', async (t) => {
    const [vhost, user, password] = ['a/b %2F?#ü', 'us:er@', 'p@ss:/?#%41 +'];
    const api = createManagementApi({ url: rabbitmq.managementUrl });
    await api.createVhost(vhost);
    await rabbitmq.ctl('add_user', user, password);
    await rabbitmq.ctl(
      'eval',
      `rabbit_auth_backend_internal:set_permissions(<<"${user}">>, ${erlang(vhost)}, <<".*">>, <<".*">>, <<".*">>, <<"test">>).`,
    );
    const { host } = new URL(rabbitmq.url);
    const [u, p, v] = [user, password, vhost].map(encodeURIComponent);
    const bench = createAmqpBench({ ...contract, url: () => `amqp://${u}:${p}@${host}/${v}` }, t);

    await publishAll(await bench.publisher(), bench.service, ['1']);

    assert.deepEqual(Object.keys(await api.queues(vhost)), [bench.queue]);
  });

  it('accepts no message while it blocks publishers, goes on delivering, and recovers by itself', async (t) => {
    const bench = createAmqpBench(contract, t);
    const proxy = await bench.proxy();
    const connects: string[] = [];
    const log = pino({}, { write: (line) => void (line.includes('connected to') && connects.push(line)) });
    const publisher = await bench.publisher({ url: proxy.url, log, confirmTimeoutMs: 60_000 });
    await publishAll(publisher, bench.service, ['1', '2']);
    await rabbitmq.ctl('set_vm_memory_high_watermark', '0');

    const caught = publisher.publish(messageTo(bench.service, 'caught'));
    await soon(() => assert.equal(publisher.isAvailable(), false));

    assert.equal(await publisher.publish(messageTo(bench.service)), 'not-accepted');
    const consumption = await bench.consume(await bench.subscriber());
    for (const body of ['1', '2']) {
      const delivery = await consumption.next();
      assert.equal(String(delivery.body), body);
      delivery.ack();
    }

    // What is unconfirmed is written to the next connection, which is blocked for it in turn.
    proxy.reset();
    await soon(() => assert.equal(connects.length, 2));
    await soon(() => assert.equal(publisher.isAvailable(), false));

    await rabbitmq.ctl('set_vm_memory_high_watermark', '0.4');
    assert.equal(await caught, 'confirmed');
    await available(publisher);
    await publishAll(publisher, bench.service, ['after']);
    assert.equal(proxy.accepted(), 2);
  });

  it('blocks a connection, which is forgotten with it', async (t) => {
    const bench = createAmqpBench(contract, t);
    const proxy = await bench.proxy();
    const publisher = await bench.publisher({ url: proxy.url, confirmTimeoutMs: 100 });
    await rabbitmq.ctl('set_vm_memory_high_watermark', '0');
    await soon(async () => assert.equal(await publisher.publish(messageTo(bench.service)), 'not-accepted'));

    proxy.reset();

    await available(publisher);
    await rabbitmq.ctl('set_vm_memory_high_watermark', '0.4');
    await publishAll(publisher, bench.service, ['after']);
  });

  it('still has what it confirmed after it was killed, and both clients come back', async (t) => {
    const bench = createAmqpBench(contract, t);
    const publisher = await bench.publisher();
    const bodies = Array.from({ length: 100 }, (_, i) => String(i));
    await publishAll(publisher, bench.service, bodies);
    const subscriber = await bench.subscriber();

    // Without this, RabbitMQ 3.10 forgets a quorum queue that was declared within the last second: it keeps the name,
    // and neither confirms nor answers a consumer.
    await rabbitmq.ctl('eval', '[dets:sync(Table) || Table <- dets:all()].');
    await rabbitmq.kill('SIGKILL');
    assert.equal(await eventuallyUnavailable(), 'not-accepted');
    await rabbitmq.restart();

    const consumption = await bench.consume(subscriber);
    const found = [];
    for (const _ of bodies) found.push(String((await consumption.next()).body));
    assert.deepEqual(found, bodies);
    await available(publisher);
    await publishAll(publisher, bench.service, ['after']);

    async function eventuallyUnavailable(): Promise<string> {
      await soon(() => assert.equal(publisher.isAvailable(), false));
      return publisher.publish(messageTo(bench.service));
    }
  });
});

/** An Erlang binary of the text in UTF-8: the command line would have it in the encoding of the locale. */
function erlang(text: string): string {
  return `<<${[...Buffer.from(text)].join(',')}>>`;
}
