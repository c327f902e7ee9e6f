import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { startTcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { connectClient, startDatasetConsumer } from './dataset-consumer.ts';
import { DATASET_TIERS, type SystemOptions, startSystem, TIERS, type TierName } from './system.ts';

/** Each tier before and after each other one. */
const order: TierName[] = [...TIERS, ...DATASET_TIERS];
const orders = [order, order.toReversed()];

describe('the tiers', () => {
  for (const order of orders)
    test(`answer a ping and send a dataset, started in the order ${order.join(', ')}`, async (t) =>
      useSystem({ amqpUrl: (await brokerOf(t)).url, order }));

  test('answer a ping and send a dataset, started before their broker', async (t) => {
    const broker = await brokerOf(t);
    const port = await freePort();
    const url = new URL(broker.url);
    url.host = `127.0.0.1:${port}`;
    const options = {
      amqpUrl: url.href,
      async onListening() {
        const proxy = await startTcpProxy({ target: broker.url, port });
        t.after(() => proxy.close());
      },
    };
    await useSystem(options);
  });
});

/** One that nothing has been declared at. */
async function brokerOf(t: TestContext): Promise<TestBroker> {
  const broker = await freshBroker();
  t.after(() => broker.close());
  return broker;
}

/** Sends a ping, and has a dataset sent. */
async function useSystem({ amqpUrl, ...options }: SystemOptions): Promise<void> {
  const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 1 };
  const system = await startSystem({ amqpUrl, counts, ...options });
  const model = await connectClient(amqpUrl);
  try {
    const baseUrl = String(system.publicWebs[0]?.baseUrl);
    const response = await fetch(`${baseUrl}/ping`);
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { type: string }).type, 'PingResponse');
    const { complete } = await startDatasetConsumer({ baseUrl, amqpUrl, model });
    await complete;
  } finally {
    await model.close();
    await system.stop();
  }
}
