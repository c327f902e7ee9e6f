import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, IllegalOperationError } from 'amqplib';
import { pino } from 'pino';
import { amqpBroker } from './amqp.fixture.ts';
import { available, createAmqpBench, onRawChannel, quorumQueue } from './amqp-bench.fixture.ts';
import { amqpContract } from './amqp-contract.fixture.ts';
import { brokerContract } from './contract.fixture.ts';
import { messageTo, publishAll, soon } from './contract-bench.fixture.ts';
import type { PublishOutcome } from './ports.ts';

describe('RabbitMQ', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  brokerContract(amqpBroker({ name: 'RabbitMQ', url: () => broker.url }));
});

describe('amqplib', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  const rabbitmq = { name: 'RabbitMQ', url: () => broker.url };
  amqpContract(rabbitmq);

  it('says that a queue has other arguments than declared, tries again, and comes once it has not', async (t) => {
    const bench = createAmqpBench(rabbitmq, t);
    const lines: string[] = [];
    const log = pino({ level: 'error' }, { write: (line) => void lines.push(line) });
    const proxy = await bench.proxy();
    const other = quorumQueue(bench.queue, { 'x-max-length': 3 });
    await onRawChannel(bench.url, (channel) =>
      channel.assertQueue(bench.queue, { durable: true, arguments: other.arguments }),
    );

    const publisher = await bench.unconnectedPublisher({ url: proxy.url, log });
    await soon(() => assert.ok(proxy.accepted() >= 3));

    assert.match(String(lines[0]), /PRECONDITION_FAILED - inequivalent arg 'x-max-length'/);
    assert.equal(await publisher.publish(messageTo(bench.service)), 'not-accepted');
    await onRawChannel(bench.url, (channel) => channel.deleteQueue(bench.queue));
    await available(publisher);
    await publishAll(publisher, bench.service, ['1']);
  });

  it('did not accept what a channel that was closing did not take, for nothing was written', async (t) => {
    const bench = createAmqpBench(rabbitmq, t);
    const publisher = await bench.publisher({ confirmTimeoutMs: 100 });
    const prototype: Pick<Channel, 'publish'> = await onRawChannel(bench.url, async (channel) =>
      Object.getPrototypeOf(channel),
    );
    t.mock.method(prototype, 'publish', () => {
      throw new IllegalOperationError('Channel closing', '');
    });
    assert.equal(await publisher.publish(messageTo(bench.service)), 'not-accepted');
  });

  it('connects to an IPv6 address', async (t) => {
    const bench = createAmqpBench(rabbitmq, t);
    const proxy = await bench.proxy({ host: '::1' });
    assert.match(proxy.url, /@\[::1\]:/);

    const publisher = await bench.publisher({ url: proxy.url });

    await publishAll(publisher, bench.service, ['1']);
  });

  it('takes its settings from nothing in the query of the URL', async (t) => {
    const bench = createAmqpBench(rabbitmq, t);

    const publisher = await bench.publisher({ url: `${bench.url}?heartbeat=x&frameMax=1&channelMax=-1` });

    await publishAll(publisher, bench.service, ['1']);
  });

  for (const { limit, bodyBytes, accepts } of [
    { limit: 'messages', bodyBytes: 1, accepts: 4_096 },
    { limit: 'bytes', bodyBytes: 1024 * 1024, accepts: 64 },
  ])
    it(`does not accept more than ${accepts} ${limit === 'bytes' ? 'MB' : limit} unconfirmed`, async (t) => {
      const bench = createAmqpBench(rabbitmq, t);
      const proxy = await bench.proxy();
      const fault = { drop: 'to-client' as const };
      const publisher = await bench.publisher({ url: proxy.url, confirmTimeoutMs: 60_000 });
      proxy.setFault(fault);
      const body = Buffer.alloc(bodyBytes);
      const settled: PublishOutcome[] = [];

      const outcomes = Array.from({ length: accepts + 10 }, () => {
        const outcome = publisher.publish(messageTo(bench.service, body));
        outcome.then((value) => settled.push(value));
        return outcome;
      });
      await nextTurn();

      assert.deepEqual(settled, Array(10).fill('not-accepted'));
      proxy.setFault({});
      proxy.reset();
      const accepted = (await Promise.all(outcomes)).slice(0, accepts);
      assert.deepEqual(new Set(accepted), new Set(['confirmed']));
    });
});
