import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { createHealthApp } from '@waybill/common/http/health-app.ts';
import { portOf } from '@waybill/common/http/http-server.ts';
import { pino } from 'pino';
import { createDescriptions } from './descriptions.ts';

const log = pino({ level: 'silent' });
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
  const app = createHealthApp({ log, readiness: () => undefined, describe });
  t.after(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  return `http://127.0.0.1:${portOf(app)}/health/ready`;
}
