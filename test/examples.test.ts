/** Everything below examples/, as its READMEs say, on one system. */
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { collectLog } from '@waybill/test-harness/collect-log.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { ask } from '../examples/browser/waybill.js';
import { type System, startSystem } from './e2e/system.ts';

const run = promisify(execFile);
/** Debian's own has Debian's pika, wherever else there is another. */
const python = ['/usr/bin/python3', 'python3'].find((program) => succeeds(program, '-c', 'import pika'));
const go = succeeds('go', 'version') ? 'go' : undefined;
/** Of what is not installed here; CI installs it. */
const unless = (program: string | undefined, missing: string) =>
  !program && !process.env.CI && `${missing} is not installed`;

const ORDER_PLACED = /^placed order [0-9a-f-]{36}\npaid at attempt 1\nrefused: #\/quantity\n$/;

describe('the examples', () => {
  let broker: TestBroker;
  let system: System;
  let folder: string;
  let pagePort: number;
  let url: string;
  const listeners: Service[] = [];
  before(async () => {
    [broker, folder, pagePort] = await Promise.all([
      freshBroker(),
      mkdtemp(join(tmpdir(), 'waybill-examples-')),
      freePort(),
    ]);
    const env = { AMQP_URL: broker.url, ORDERS_DATABASE: join(folder, 'orders.db') };
    const start = async (name: string) => {
      const listener = await startService({ name, main: `examples/orders/src/${name}.ts`, env });
      listeners.push(listener);
      await listener.ready();
    };
    const publicWeb = {
      PUBLIC_EVENT_TYPES: 'Order.*,Price.*',
      ALLOWED_ORIGINS: `http://localhost:${pagePort}`,
    };
    [system] = await Promise.all([
      startSystem({ amqpUrl: broker.url, counts: { 'ping-listener': 0 }, envs: { 'public-web': publicWeb } }),
      start('main'),
      start('audit'),
    ]);
    url = String(system.publicWebs[0]?.baseUrl);
  });
  after(async () => {
    await Promise.all(listeners.map((listener) => listener.stop()));
    await system?.stop();
    await broker?.close();
    await rm(folder, { recursive: true });
  });

  describe('orders', () => {
    it('passes its own tests', async () => {
      await run(process.execPath, ['--test', 'examples/orders/src/*.test.ts'], { env: bareEnvironment() });
    });

    it('places one order for an event that comes twice, and audit sees it', async () => {
      const event = { specversion: '1.0', id: '1', source: '/test', type: 'Order.Place' };
      const body = JSON.stringify({ ...event, data: { sku: 'tea', quantity: 2 } });
      const send = async () => (await post(body)).json() as Promise<{ data: { orderId: string } }>;
      const [first, again] = [await send(), await send()];
      assert.deepEqual(again.data, first.data);
      const audit = listeners.find(({ name }) => name === 'audit');
      await audit?.waitForLog(({ msg, order }) => msg === 'somebody wants to buy' && order === '1');
    });

    it('pays when the bank answers at last, and refuses a card', async () => {
      const { orderId } = await ask(url, 'Order.Place', { sku: 'tea', quantity: 1 });
      const { attempt } = await ask(url, 'Order.Pay', { orderId, card: 'flaky' });
      assert.equal(attempt, 3);
      await assert.rejects(ask(url, 'Order.Pay', { orderId, card: 'declined' }), {
        message: 'the bank refuses this card',
      });
    });
  });

  it('python-client places an order', { skip: unless(python, 'python3 with pika') }, async () => {
    const { stdout } = await run(String(python), ['examples/python-client/client.py', url]);
    assert.match(stdout, ORDER_PLACED);
  });

  it('go-client compiles and places an order', { skip: unless(go, 'Go') }, async () => {
    const { stdout } = await run('go', ['run', '.', url], { cwd: 'examples/go-client' });
    assert.match(stdout, ORDER_PLACED);
  });

  it('browser serves a page whose origin Waybill answers', async (t) => {
    const child = spawn(process.execPath, ['examples/browser/serve.mjs', String(pagePort)]);
    t.after(() => child.kill());
    const log = collectLog({ name: 'browser', child });
    const { msg } = await log.waitFor(({ msg }) => String(msg).startsWith('open http'));
    const page = String(msg).slice('open '.length);
    const html = await (await fetch(page)).text();
    assert.match(html, /import \{ ask, Refused \} from '\.\/waybill\.js'/);
    assert.equal((await fetch(new URL('waybill.js', page))).status, 200);
    const headers = {
      origin: new URL(page).origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    };
    const preflight = await fetch(`${url}/events`, { method: 'OPTIONS', headers });
    assert.equal(preflight.headers.get('access-control-allow-origin'), headers.origin);
  });

  it('foreign-listener answers, refuses, and tries again', {
    skip: unless(python, 'python3 with pika'),
  }, async (t) => {
    const env = { ...process.env, AMQP_URL: broker.url };
    const child = spawn(String(python), [resolve('examples/foreign-listener/listener.py')], { env });
    t.after(() => child.kill());
    const log = collectLog({ name: 'foreign-listener', child });
    await log.waitFor(({ msg }) => msg === 'prices is listening');
    assert.deepEqual(await ask(url, 'Price.Quote', { sku: 'tea', quantity: 2 }), { sku: 'tea', cents: 900 });
    await assert.rejects(ask(url, 'Price.Quote', { sku: 'tea', quantity: 0 }), ({ problem }) => {
      assert.partialDeepStrictEqual(problem, { status: 422, errors: [{ pointer: '#/quantity' }] });
      return true;
    });
    // The handler fails, as a list cannot be looked up, and is tried again while there is time: a fourth attempt would be later than 6 s.
    const body = {
      specversion: '1.0',
      id: '2',
      source: '/test',
      type: 'Price.Quote',
      data: { sku: [], quantity: 1 },
    };
    const failed = await post(JSON.stringify(body), { prefer: 'wait=6' });
    assert.equal(failed.status, 502, await failed.text());
    await log.waitFor(({ msg }) => String(msg).startsWith('attempt 3 at 2 failed'));
  });

  function post(body: string, own: Record<string, string> = {}): Promise<Response> {
    const headers = { 'content-type': 'application/cloudevents+json', ...own };
    return fetch(`${url}/events`, { method: 'POST', headers, body });
  }
});

function succeeds(program: string, ...args: string[]): boolean {
  return spawnSync(program, args).status === 0;
}
