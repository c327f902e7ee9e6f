import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type Fault, startTcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { pino } from 'pino';
import { depthOf } from './amqp-bench.fixture.ts';
import { serviceQueues } from './amqp-topology.ts';
import { collect, messageTo } from './contract-bench.fixture.ts';
import { createBroker } from './create-broker.ts';
import { KEEP_INTERVAL_MS } from './topology-watch.ts';

const log = pino({ level: 'silent' });

describe('what a process has of its broker', () => {
  let host: TestBroker;
  before(async () => {
    host = await freshBroker();
  });
  after(() => host.close());

  it('gives back what it holds when its publisher has been away for 5 s, and takes nothing meanwhile', async (t) => {
    const service = `away-${randomUUID()}`;
    const { work } = serviceQueues(service);
    const proxy = await startTcpProxy({ target: host.url });
    t.after(() => proxy.close());
    // The subscriber connects first, and keeps its connection.
    const ofPublisher: Fault = {};
    for (const fault of [{}, ofPublisher]) proxy.setNextFault(fault);
    const broker = await createBroker({
      ...{ url: proxy.through(host.url), name: 'test', log },
      topology: { service, types: [`${service}.Type`] },
    });
    t.after(() => Promise.all([broker.publisher.close(0), broker.subscriber.close()]));
    await eventually(() => assert.ok(broker.publisher.isConnected() && broker.subscriber.isConnected()));
    const consumption = collect(broker.subscriber, { from: { work: service }, prefetch: 10 });
    const send = () => broker.publisher.publish({ ...messageTo(service), to: { service } });
    assert.equal(await send(), 'confirmed');
    const delivery = await consumption.next();

    proxy.setFault({ resetAfterBytes: 0 });
    ofPublisher.resetAfterBytes = 0;
    await send();
    await eventually(() => assert.equal(broker.publisher.isConnected(), false));
    assert.ok(!delivery.signal.aborted, 'it may still be answered');

    // With the one whose confirm was cut off.
    await eventually(async () => assert.equal((await depthOf(host.url, work)).ready, 2));
    assert.ok(delivery.signal.aborted);

    proxy.setFault({});
    assert.equal(String((await consumption.next()).body), String(delivery.body));
  });

  it('looks after its topology no longer than it lives', async (t) => {
    const made = t.mock.method(globalThis, 'setInterval');
    const cleared = t.mock.method(globalThis, 'clearInterval');
    const topology = { service: `short-${randomUUID()}`, types: [] };
    const broker = await createBroker({ url: host.url, name: 'test', log, topology });
    const looking = made.mock.calls.find(({ arguments: [, ms] }) => ms === KEEP_INTERVAL_MS)?.result;
    assert.ok(looking);

    await Promise.all([broker.publisher.close(), broker.subscriber.close()]);

    assert.ok(cleared.mock.calls.some(({ arguments: [timer] }) => timer === looking));
  });
});
