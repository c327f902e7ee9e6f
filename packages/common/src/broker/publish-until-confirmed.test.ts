import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { rabbitmqAt } from './amqp.fixture.ts';
import { createBench, depthOf, messageTo, onRawChannel } from './contract-bench.ts';
import { publishUntilConfirmed } from './publish-until-confirmed.ts';

describe('publishUntilConfirmed', () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  const contract = rabbitmqAt(() => broker.url);
  const neverAborts = new AbortController().signal;

  it('resolves once the broker has the message, however often the connection goes', async (t) => {
    const bench = createBench(contract, t);
    const proxy = await bench.proxy();
    const publisher = await bench.publisher({ url: proxy.url });

    const published = publishUntilConfirmed(publisher, messageTo(bench.service), neverAborts);
    for (let i = 0; i < 5; i += 1) {
      proxy.reset();
      await nextTurn();
    }
    await published;

    assert.ok((await depthOf(bench.url, bench.queue)).ready >= 1);
  });

  it('waits for a connection', async (t) => {
    const bench = createBench(contract, t);
    const proxy = await bench.proxy();
    const publisher = await bench.unconnectedPublisher({ url: proxy.url });
    assert.equal(publisher.isAvailable(), false);

    await publishUntilConfirmed(publisher, messageTo(bench.service), neverAborts);

    assert.equal((await depthOf(bench.url, bench.queue)).ready, 1);
  });

  it('declares a queue of ours again that is missing', async (t) => {
    const bench = createBench(contract, t);
    const publisher = await bench.publisher();
    await onRawChannel(bench.url, (channel) => channel.deleteQueue(bench.queue));

    await publishUntilConfirmed(publisher, messageTo(bench.service), neverAborts);

    assert.equal((await depthOf(bench.url, bench.queue)).ready, 1);
  });

  it('gives up what no queue takes although all of ours are there', async (t) => {
    const bench = createBench(contract, t);
    const publisher = await bench.publisher();

    await assert.rejects(publishUntilConfirmed(publisher, messageTo('nobody'), neverAborts), {
      code: 'unroutable',
    });
  });

  it('gives up when its signal aborts', async (t) => {
    const bench = createBench(contract, t);
    const proxy = await bench.proxy();
    const publisher = await bench.publisher({ url: proxy.url, confirmTimeoutMs: 100 });
    await proxy.close();
    const controller = new AbortController();

    const published = publishUntilConfirmed(publisher, messageTo(bench.service), controller.signal);
    await nextTurn();
    controller.abort();

    await assert.rejects(published, { code: 'broker-unavailable' });
  });
});
