import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { startService } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing } from '@waybill/test-harness/test-broker.ts';
import { pino } from 'pino';
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
      await eventually(() => assert.ok(publisher.isAvailable()), { timeoutMs: 30_000 });
      await publisher.close();
    }

    const env = {
      AMQP_URL: broker.url,
      MANAGEMENT_URL: new URL(String(process.env.TEST_MANAGEMENT_URL)).origin,
    };
    const listener = await startService({ name: 'ping-listener', env });
    t.after(() => listener.stop());
    const isWarning = ({ msg }: { msg?: string }) => /has no consumers/.test(msg ?? '');
    await listener.waitForLog(isWarning, 30_000);

    await listener.ready();
    assert.deepEqual(
      listener.logs.filter(isWarning).map(({ queue }) => queue),
      ['waybill.renamed'],
    );
  });
});
