import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { createFindAnswerers } from './amqp-answerers.ts';

/** A management API that answers `statuses`, one after the other and then 200, and a clock that is set by hand. */
async function start(t: TestContext, ...statuses: number[]) {
  let requests = 0;
  let nowMs = 1_000;
  const bindings = ['orders', 'shop'].map((service) => ({
    destination: `waybill.${service}.types`,
    destination_type: 'queue',
    routing_key: 'Order.Place',
  }));
  const server = createServer((_, response) => {
    requests += 1;
    response.writeHead(statuses.shift() ?? 200).end(JSON.stringify(bindings));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  t.mock.method(performance, 'now', () => nowMs);
  const lines: string[] = [];
  const findAnswerers = createFindAnswerers({
    managementUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    amqpUrl: 'amqp://127.0.0.1',
    log: pino({}, { write: (line) => void lines.push(line) }),
  });
  return {
    findAnswerers,
    lines,
    requests: () => requests,
    pass(ms: number) {
      nowMs += ms;
    },
  };
}

const ANSWERERS = { 'Order.Place': ['orders', 'shop'] };

test('all services that have declared a type are found, and the API is asked once in five seconds', async (t) => {
  const { findAnswerers, requests, pass } = await start(t);
  const found = await Promise.all([findAnswerers(), findAnswerers()]);
  assert.deepEqual(found, [ANSWERERS, ANSWERERS]);
  pass(4_999);
  assert.deepEqual(await findAnswerers(), ANSWERERS);
  assert.equal(requests(), 1);
  pass(1);
  await findAnswerers();
  assert.equal(requests(), 2);
});

test('a user who may not ask is told of once, and asks again after a minute', async (t) => {
  const { findAnswerers, lines, requests, pass } = await start(t, 401, 401);
  assert.equal(await findAnswerers(), undefined);
  pass(59_999);
  assert.equal(await findAnswerers(), undefined);
  assert.equal(requests(), 1);
  pass(1);
  assert.equal(await findAnswerers(), undefined);
  assert.match(lines.join(''), /^[^\n]*may not ask[^\n]*\n$/);
  pass(60_000);
  assert.deepEqual(await findAnswerers(), ANSWERERS);
});

test('of an API that fails nothing is known, and it is asked again after five seconds', async (t) => {
  const { findAnswerers, lines, pass } = await start(t, 500);
  assert.equal(await findAnswerers(), undefined);
  pass(5_000);
  assert.deepEqual(await findAnswerers(), ANSWERERS);
  assert.deepEqual(lines, []);
});
