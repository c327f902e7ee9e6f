import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

/** Far more than it takes on a busy machine. */
const SAID_MS = 60_000;

/** One system, told of in the order of these tests: the last one stops its listener. */
describe('what is wrong between the tiers', () => {
  let broker: TestBroker;
  let system: System;
  before(async () => {
    broker = await freshBroker();
    system = await startSystem({ amqpUrl: broker.url });
  });
  after(async () => {
    await system?.stop();
    await broker.close();
  });

  it('a public-web that cannot be called back is not ready, and names the setting', async (t) => {
    const internalUrl = `http://127.0.0.1:${await freePort()}`;
    const reason = 'replies cannot be delivered to this instance: connect ECONNREFUSED ';
    await expectNotReady(await startPublicWeb(t, internalUrl), reason);
  });

  it('a public-web at whose address another one answers is not ready', async (t) => {
    const [other] = system.publicWebs;
    const reason = 'replies cannot be delivered to this instance: another instance is at its address';
    await expectNotReady(await startPublicWeb(t, `http://127.0.0.1:${other?.internalPort}`), reason);
  });

  it('a type that clients may send and that no listener has declared is named', async (t) => {
    const publicWeb = await startPublicWeb(t, undefined, { PUBLIC_EVENT_TYPES: 'PingRequest,Greeting' });
    const warning = await publicWeb.waitForLog(({ event_type }) => event_type === 'Greeting', SAID_MS);
    assert.deepEqual(
      [warning.level, warning.msg],
      ['warn', 'clients may send a type that no listener takes'],
    );
  });

  it('a service that nobody runs any more is named in the log, and to a client who waited in vain', async () => {
    const [publicWeb] = system.publicWebs as [Service];
    const ping = (seconds: number) =>
      fetch(`${publicWeb.baseUrl}/ping`, { headers: { prefer: `wait=${seconds}` } });
    assert.equal((await ping(30)).status, 200);
    for (const listener of system.pingListeners) await system.kill(listener);
    await publicWeb.waitForLog(
      ({ msg, service }) => service === 'ping' && /nobody consumes/.test(String(msg)),
      SAID_MS,
    );
    const response = await ping(1);
    assert.equal(response.status, 504);
    const { detail } = (await response.json()) as { detail: string };
    assert.match(
      detail,
      /^no reply within 1000 ms; nobody has consumed waybill\.ping since 2\S+ at the latest$/,
    );
  });

  async function startPublicWeb(t: TestContext, internalUrl?: string, env: Record<string, string> = {}) {
    const [dispatcher] = system.dispatchers;
    const own: Record<string, string> = internalUrl === undefined ? {} : { INTERNAL_URL: internalUrl };
    const all = {
      INTERNAL_SECRETS,
      DISPATCHER_URLS: `${dispatcher?.baseUrl}`,
      GRPC_PORT: '0',
      ...own,
      ...env,
    };
    const service = await startService({ name: 'public-web', env: all });
    t.after(() => service.stop());
    return service;
  }

  async function expectNotReady(publicWeb: Service, reason: string): Promise<void> {
    await publicWeb.waitForLog(({ msg }) => /\(setting INTERNAL_URL\)$/.test(String(msg)), SAID_MS);
    const body = await eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${publicWeb.healthPort}/health/ready`);
      assert.equal(response.status, 503);
      return (await response.json()) as { reason: string };
    });
    assert.ok(body.reason.startsWith(reason), body.reason);
  }
});
