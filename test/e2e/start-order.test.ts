import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { startTcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { connectClient, startDatasetConsumer } from './dataset-consumer.ts';
import { DATASET_TIERS, type SystemOptions, startSystem, TIERS, type TierName } from './system.ts';

describe('the tiers', { concurrency: 2 }, () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  for (const order of permutations(TIERS)) {
    test(`answer a ping, started in the order ${order.join(', ')}`, () =>
      answerPing({ amqpUrl: broker.url, order }));
  }
});

// One after the other: two listeners of datasets with different keys cannot share a broker.
describe('the tiers that datasets need, and the others', () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  for (const order of permutations(DATASET_TIERS).flatMap((tiers) => [
    [...tiers, ...TIERS],
    [...TIERS, ...tiers],
  ]))
    test(`send a dataset, started in the order ${order.join(', ')}`, () =>
      sendDataset({ amqpUrl: broker.url, order }));

  test('answer a ping and send a dataset, started before their broker', async (t) => {
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
    await sendDataset(options);
  });
});

async function answerPing(options: SystemOptions, use?: (baseUrl: string) => Promise<void>): Promise<void> {
  const system = await startSystem(options);
  try {
    const baseUrl = String(system.publicWebs[0]?.baseUrl);
    const response = await fetch(`${baseUrl}/ping`);
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { type: string }).type, 'PingResponse');
    await use?.(baseUrl);
  } finally {
    await system.stop();
  }
}

/** Besides a ping. */
async function sendDataset(options: SystemOptions): Promise<void> {
  const { amqpUrl } = options;
  const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 1 };
  await answerPing({ ...options, counts }, async (baseUrl) => {
    const model = await connectClient(amqpUrl);
    try {
      const { complete } = await startDatasetConsumer({ baseUrl, amqpUrl, model });
      await complete;
    } finally {
      await model.close();
    }
  });
}

function permutations(tiers: readonly TierName[]): TierName[][] {
  if (tiers.length < 2) return [[...tiers]];
  return tiers.flatMap((first) =>
    permutations(tiers.filter((tier) => tier !== first)).map((rest) => [first, ...rest]),
  );
}
