import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it, type TestContext } from 'node:test';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import type { Status } from '@waybill/tools/collect-status.ts';
import { connect } from 'amqplib';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

const { TEST_MANAGEMENT_URL: MANAGEMENT_URL } = process.env;

/** Far more than it takes on a busy machine. */
const SAID_MS = 60_000;

/** One system, told of in the order of these tests: the last but one stops its listener. */
describe('what is wrong between the tiers', () => {
  let broker: TestBroker;
  let system: System;
  /** The options that name the processes of it. */
  let health: string[];
  before(async () => {
    broker = await freshBroker();
    const dispatcher: Record<string, string> = MANAGEMENT_URL
      ? { MANAGEMENT_URL: new URL(MANAGEMENT_URL).origin }
      : {};
    system = await startSystem({ amqpUrl: broker.url, envs: { dispatcher } });
    health = urlsOf(system).flatMap((url) => ['--health', url]);
  });
  after(async () => {
    await system?.stop();
    await broker.close();
  });

  it('bin/status.mjs shows the tiers, who takes what, the queues, and why events were given up', async () => {
    await publishGarbage(broker.url);
    const { status, code } = await eventually(async () => {
      const seen = await readStatus(...health);
      assert.deepEqual(seen.status.deadLetters.byReason, { unparsable: 1 });
      return seen;
    });
    assert.equal(code, 0);
    assert.ok(Date.parse(String(status.deadLetters.oldest)) > Date.now() - SAID_MS * 10);
    const tiers = status.tiers.map(({ service, isReady, version }) => [service, isReady, version]);
    assert.deepEqual(tiers, [
      ['public-web', true, '0.1.0'],
      ['dispatcher', true, '0.1.0'],
      ['ping', true, '0.1.0'],
    ]);
    assert.equal(status.tiers[0]?.parked, 0);
    assert.equal(status.tiers[2]?.inFlight, 0);
    assert.deepEqual(status.types, [{ type: 'PingRequest', answeredBy: ['ping'], observedBy: [] }]);
    assert.deepEqual(
      status.queues.map(({ name, messages, consumers }) => [name, messages, consumers]),
      [
        ['waybill.dead-letters', 1, 0],
        ['waybill.ping', 0, 1],
        ['waybill.replies', 0, 1],
      ],
    );
    const { stdout } = await runStatus(...health);
    assert.match(stdout, /^ping +0\.1\.0 +yes +0 in flight$/m);
    assert.match(stdout, /^dead letters {2}1: 1 unparsable, the oldest of 2\S+Z$/m);
  });

  it('bin/status.mjs --watch says it again and again, until it is stopped', async () => {
    const args = ['bin/status.mjs', '--amqp', broker.url, '--watch', '--every', '1', ...health];
    const watching = spawn(process.execPath, args, { env: bareEnvironment() });
    let text = '';
    watching.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    try {
      const said = () => text.match(/^TIER +VERSION +READY$[\s\S]*?^dead letters {2}1: 1 unparsable/gm) ?? [];
      await eventually(() => assert.ok(said().length >= 2, text), { timeoutMs: SAID_MS });
      // No terminal is cleared that is none.
      assert.ok(!text.includes('\x1b'));
    } finally {
      watching.kill('SIGINT');
    }
    assert.deepEqual(await once(watching, 'exit'), [null, 'SIGINT']);
  });

  it('bin/status.mjs knows a service that does not run from the management API', {
    skip: !MANAGEMENT_URL,
  }, async () => {
    const { status } = await readStatus(...health.slice(0, 2), '--management', String(MANAGEMENT_URL));
    assert.deepEqual(status.types, [{ type: 'PingRequest', answeredBy: ['ping'], observedBy: [] }]);
    assert.ok(status.queues.some(({ name }) => name === 'waybill.ping'));
  });

  it('a public-web that cannot be called back is not ready, and names the setting', async (t) => {
    const internalUrl = `http://127.0.0.1:${await freePort()}`;
    await expectNotReady(await startPublicWeb(t, internalUrl), /^connect ECONNREFUSED /);
  });

  it('a public-web at whose address another one answers is not ready', async (t) => {
    const [other] = system.publicWebs;
    const internalUrl = `http://127.0.0.1:${other?.internalPort}`;
    await expectNotReady(await startPublicWeb(t, internalUrl), /^another instance is at its address$/);
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
    const { status, code } = await readStatus(...health);
    assert.equal(code, 1);
    assert.equal(status.tiers.find(({ isReady }) => !isReady)?.reason, 'nothing answers');
    const { detail } = (await response.json()) as { detail: string };
    assert.match(
      detail,
      /^no reply within 1000 ms; nobody has consumed waybill\.ping since 2\S+ at the latest$/,
    );
  });

  it('a service that was down before public-web started is named as well, where a dispatcher may ask the management API', {
    skip: !MANAGEMENT_URL,
  }, async (t) => {
    const publicWeb = await startPublicWeb(t);
    await publicWeb.waitForLog(
      ({ msg, service }) => service === 'ping' && /nobody consumes/.test(String(msg)),
      SAID_MS,
    );
    const response = await fetch(`${publicWeb.baseUrl}/ping`, { headers: { prefer: 'wait=1' } });
    const { detail } = (await response.json()) as { detail: string };
    assert.match(detail, /; nobody has consumed waybill\.ping since 2\S+ at the latest$/);
  });

  function runStatus(...args: string[]): Promise<{ code: number; stdout: string }> {
    const all = ['bin/status.mjs', '--amqp', broker.url, ...args];
    const options = { env: bareEnvironment(), timeout: SAID_MS };
    return new Promise((resolve, reject) =>
      execFile(process.execPath, all, options, (error, stdout, stderr) =>
        stderr === '' ? resolve({ code: Number(error?.code ?? 0), stdout }) : reject(new Error(stderr)),
      ),
    );
  }

  async function readStatus(...args: string[]): Promise<{ code: number; status: Status }> {
    const { code, stdout } = await runStatus('--json', ...args);
    return { code, status: JSON.parse(stdout) };
  }

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

  /** Says so to all, and why, which names addresses within, in its log alone. */
  async function expectNotReady(publicWeb: Service, reason: RegExp): Promise<void> {
    const told = 'replies cannot be delivered to this instance (setting INTERNAL_URL)';
    const warning = await publicWeb.waitForLog(({ msg }) => msg === told, SAID_MS);
    assert.match(String(warning.reason), reason);
    const body = await eventually(async () => {
      const response = await fetch(`${publicWeb.baseUrl}/health/ready`);
      assert.equal(response.status, 503);
      return (await response.json()) as { reason: string };
    });
    assert.equal(body.reason, told);
  }
});

function urlsOf({ publicWebs, dispatchers, pingListeners }: System): string[] {
  return [...publicWebs, ...dispatchers, ...pingListeners].map(
    ({ healthPort }) => `http://127.0.0.1:${healthPort}`,
  );
}

/** Where dispatchers look for replies. */
async function publishGarbage(url: string): Promise<void> {
  const model = await connect(url);
  const channel = await model.createConfirmChannel();
  channel.sendToQueue('waybill.replies', Buffer.from('no event'));
  await channel.waitForConfirms();
  await model.close();
}
