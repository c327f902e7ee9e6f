import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { startService } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing } from '@waybill/test-harness/test-broker.ts';
import { pino } from 'pino';
import { warnOfForgottenQueues } from './amqp-forgotten-queues.ts';
import { createAmqpPublisher } from './amqp-publisher.ts';
import { listenerTopology } from './amqp-topology.ts';

describe('a listener that may ask the management API', { skip: rabbitmqMissing }, () => {
  it('says at its start which queues bound to its types have no consumers, and no others', async (t) => {
    const broker = await freshBroker();
    t.after(() => broker.close());
    for (const [service, type] of [
      ['renamed', 'PingRequest'],
      ['another', 'Another'],
    ] as const) {
      const topology = listenerTopology(service, [type]);
      const log = pino({ level: 'silent' });
      const publisher = await createAmqpPublisher({ url: broker.url, name: 'test', topology, log });
      await eventually(() => assert.ok(publisher.isAvailable()));
      await publisher.close();
    }

    const env = {
      AMQP_URL: broker.url,
      MANAGEMENT_URL: new URL(String(process.env.TEST_MANAGEMENT_URL)).origin,
    };
    const listener = await startService({ name: 'ping-listener', env });
    t.after(() => listener.stop());
    const isWarning = ({ msg }: { msg?: string }) => /has no consumers/.test(msg ?? '');
    await listener.waitForLog(isWarning);

    await listener.ready();
    assert.deepEqual(
      listener.logs.filter(isWarning).map(({ queue }) => queue),
      ['waybill.renamed'],
    );
  });

  it('says so once when its user may not, and asks no more', { timeout: 30_000 }, async (t) => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      response.writeHead(401).end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const lines: string[] = [];
    const log = pino({}, { write: (line) => void lines.push(line) });

    warnOfForgottenQueues({
      managementUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      amqpUrl: 'amqp://127.0.0.1',
      service: 'ping',
      types: [],
      log,
    });
    while (lines.length === 0) await nextTurn();

    t.mock.timers.runAll();
    await nextTurn();
    assert.match(lines.join(''), /may not ask.*/);
    assert.equal(requests, 1);
  });
});
