/** `@waybill/client` in a browser, and the page at `/try` that uses it, before all tiers. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type Chromium, needsChromium, type Page, startChromium } from '@waybill/test-harness/chromium.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type OtlpReceiver, startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

/** What a script of a page begins with: a connection as `client`, and what it is told. */
const CONNECT = `
  const { createClient } = await import('/try/client/create-client.js');
  const waybill = createClient();
  const [events, states] = [[], []];
  const connection = waybill.connect({
    client,
    onEvent: ({ requestid }) => events.push(requestid),
    onState: ({ name }) => states.push(name),
  });
  const ask = async (sentAt) => (await connection.request('PingRequest', { sentAt }, { timeoutMs: 90_000 })).data.sentAt;
  const askAll = (count) => Promise.all(Array.from({ length: count }, (_, index) => ask(index)));
`;

describe('in a browser', { skip: needsChromium() }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-browser-'));
  let broker: TestBroker;
  let system: System;
  let store: Service;
  let web: Service;
  let otherWeb: Service;
  let chromium: Chromium;
  let proxy: TcpProxy;
  let receiver: OtlpReceiver;
  let url: string;
  before(async () => {
    broker = await freshBroker();
    const port = await freePort();
    receiver = await startOtlpReceiver();
    const env = { STORE_URLS: `http://127.0.0.1:${port}` };
    const database = { INTERNAL_SECRETS, PORT: String(port), DATABASE_URL: `sqlite:${folder}/store.db` };
    [chromium, store, system] = await Promise.all([
      startChromium(),
      startService({ name: 'store', env: database }),
      startSystem({
        amqpUrl: broker.url,
        counts: { 'public-web': 2 },
        env,
        // There are traces to show.
        envs: { 'public-web': { DEVELOPMENT: 'true', ...receiver.env } },
      }),
    ]);
    await store.ready();
    [web, otherWeb] = system.publicWebs as [Service, Service];
    proxy = await startTcpProxy({ target: web.baseUrl });
    url = `http://127.0.0.1:${proxy.port}`;
  });
  after(async () => {
    await chromium?.close();
    await proxy?.close();
    await system?.stop();
    await store?.stop();
    await broker?.close();
    await receiver?.close();
    rmSync(folder, { recursive: true });
  });

  /** A page whose script is `CONNECT`, with what it makes left in `window`. */
  async function openClient(t: TestContext, client: string): Promise<Page> {
    const page = await chromium.open(`${url}/try/style.css`);
    t.after(() => page.close());
    const names = 'waybill, connection, events, states, askAll';
    await page.evaluate(
      `(async () => { const client = '${client}'; ${CONNECT} Object.assign(window, { ${names} }); })()`,
    );
    return page;
  }

  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
  const stateIs = (page: Page, name: string) =>
    eventually(async () => assert.equal(await page.evaluate('connection.state.name'), name));

  async function post(client: string, id: string): Promise<void> {
    const response = await fetch(`${web.baseUrl}/clients/${client}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id, type: 'PingRequest', data: {} }),
    });
    assert.equal(response.status, 202);
  }

  describe('the client', () => {
    it('asks by a request, and by a connection', async (t) => {
      const page = await openClient(t, randomUUID());
      const reply = await page.evaluate<{ type: string }>('waybill.request("PingRequest", { sentAt: 1 })');
      assert.equal(reply.type, 'PingResponse');
      assert.deepEqual(await page.evaluate('askAll(200)'), numbers(200));
      assert.equal(await page.evaluate('connection.state.via'), 'websocket');
      await page.evaluate('connection.close()');
      assert.deepEqual(await page.evaluate('events'), []);
      assert.deepEqual(page.complaints, []);
    });

    it('goes on at the other instance when its connection breaks, with what it has missed', async (t) => {
      const client = randomUUID();
      const page = await openClient(t, client);
      await stateIs(page, 'connected');
      await page.evaluate('window.asked = askAll(100); undefined');
      proxy.retarget(otherWeb.baseUrl);
      proxy.reset();
      for (const id of ['1', '2', '3']) await post(client, id);
      assert.deepEqual(await page.evaluate('asked'), numbers(100));
      await eventually(async () => assert.deepEqual(await page.evaluate('events'), ['1', '2', '3']));
    });

    it('is held by one tab, and by the next one when that closes, which gets what is not acknowledged', async (t) => {
      const client = randomUUID();
      const first = await openClient(t, client);
      await stateIs(first, 'connected');
      const second = await openClient(t, client);
      await stateIs(second, 'standby');
      await second.evaluate('window.asked = askAll(3); undefined');
      await post(client, '1');
      await eventually(async () => assert.deepEqual(await first.evaluate('events'), ['1']));
      assert.deepEqual(await first.evaluate('askAll(3)'), numbers(3));
      await first.evaluate('connection.close()');
      assert.deepEqual(await second.evaluate('asked'), numbers(3));
      await post(client, '2');
      await eventually(async () => assert.deepEqual(await second.evaluate('events'), ['2']));
    });
  });

  describe('the page at /try', () => {
    const textOf = (page: Page, id: string) =>
      page.evaluate<string>(`document.getElementById('${id}').textContent`);
    const press = (page: Page, id: string) => page.evaluate(`document.getElementById('${id}').click()`);
    const has = (page: Page, id: string, text: string | RegExp) =>
      eventually(async () => assert.match(await textOf(page, id), new RegExp(text)));

    it('shows answers with their traces, and after a disconnect what was missed', async (t) => {
      const page = await chromium.open(`${url}/try`);
      t.after(() => page.close());
      await has(page, 'state', /^connected by websocket$/);
      await press(page, 'ping');
      await has(page, 'answered', /^1$/);
      await press(page, 'connect');
      await has(page, 'state', /^closed$/);
      await press(page, 'many');
      await has(page, 'sent', /^11$/);
      assert.equal(await textOf(page, 'waiting'), '10');
      await has(page, 'connect', /^Connect$/);
      await press(page, 'connect');
      await has(page, 'missed', /^10$/);
      assert.equal(await textOf(page, 'waiting'), '0');
      const rows = await page.evaluate<string[]>(
        `[...document.querySelectorAll('li')].map((row) => row.textContent)`,
      );
      assert.equal(rows.length, 11);
      assert.equal(
        rows.filter((row) => /^PingResponse, missed.*trace [0-9a-f]{32}$/.test(row)).length,
        10,
        rows.join('\n'),
      );
      assert.deepEqual(page.complaints, []);
    });

    it('fits 360 pixels, and is readable in the light and in the dark', async (t) => {
      const page = await chromium.open(`${url}/try`);
      t.after(() => page.close());
      await press(page, 'ping');
      await has(page, 'answered', /^1$/);
      await press(page, 'connect');
      await has(page, 'connect', /^Connect$/);
      await press(page, 'ping');
      await press(page, 'ping');
      await press(page, 'connect');
      await has(page, 'missed', /^2$/);
      const colors: string[] = [];
      for (const scheme of ['light', 'dark'] as const) {
        await page.look({ width: 360, height: 740, scheme });
        assert.ok((await page.evaluate<number>('document.documentElement.scrollWidth')) <= 360);
        if (process.env.SCREENSHOTS)
          await writeFile(join(process.env.SCREENSHOTS, `try-${scheme}.png`), await page.screenshot());
        colors.push(await page.evaluate('getComputedStyle(document.getElementById("state")).color'));
      }
      assert.equal(new Set(colors).size, 2);
    });
  });
});
