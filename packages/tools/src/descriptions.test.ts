import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createDescriptions } from './descriptions.ts';

const data = { type: 'object', required: ['sku'] };

test('the file has what each listener says now, and is gone afterwards', async (t) => {
  const descriptions = createDescriptions();
  t.after(descriptions.remove);
  const read = () => JSON.parse(readFileSync(descriptions.file, 'utf8'));
  assert.deepEqual(read(), {});

  let types: Record<string, object> = { 'Order.Place': { data }, 'Order.Drop': {} };
  const orders = await startListener(t, () => types);
  await descriptions.read('orders', orders);
  await descriptions.read('stock', await startListener(t, () => ({ 'Stock.Take': {} })));
  assert.deepEqual(read(), { 'Order.Place': { data }, 'Order.Drop': {}, 'Stock.Take': {} });

  types = { 'Order.Place': {} };
  await descriptions.read('orders', orders);
  assert.deepEqual(read(), { 'Order.Place': {}, 'Stock.Take': {} });
  descriptions.remove();
  assert.equal(existsSync(descriptions.file), false);
});

test('what a listener said stays where it says nothing any more', async (t) => {
  const descriptions = createDescriptions();
  t.after(descriptions.remove);
  await descriptions.read('orders', await startListener(t, () => ({ 'Order.Place': {} })));
  await descriptions.read('orders', await startListener(t));
  await descriptions.read('orders', 'http://127.0.0.1:1/health/ready');
  assert.deepEqual(JSON.parse(readFileSync(descriptions.file, 'utf8')), { 'Order.Place': {} });
});

/** The health port of a listener; resolves with its `/health/ready`. */
async function startListener(t: TestContext, describe?: () => Record<string, object>): Promise<string> {
  const server = createServer(({ url }, response) => {
    if (url !== '/types' || !describe) response.statusCode = 404;
    response.end(JSON.stringify(describe?.() ?? { status: 404 }));
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/health/ready`;
}
