import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { createAuthority, trust } from '@waybill/test-harness/certificates.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { createManagementApi } from '@waybill/test-harness/management-api.ts';
import { type Rabbitmq, startRabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { cannotStartRabbitmq } from '@waybill/test-harness/test-broker.ts';
import { grpcAddressOf, INTERNAL_SECRETS, type System, startSystem } from './system.ts';

const authority = createAuthority();
trust(authority);
const pair = authority.issue({ names: ['localhost', '127.0.0.1'] });
const COUNTS = { 'dataset-generator': 1, 'data-dispatch-listener': 1 };
/** What the tiers have at the broker, and what one of them has at the client's. */
const CONNECTIONS = [
  ...['dispatcher', 'ping', 'data-dispatch'].flatMap((name) => [`${name} publisher`, `${name} subscriber`]),
  'data-dispatch',
];

describe('a system that speaks TLS between all its parts', { skip: cannotStartRabbitmq }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-tls-'));
  let rabbitmq: Rabbitmq;
  let system: System;
  let web: Service;

  /** The path of a new file. */
  function file(name: string, content: string): string {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  }
  const trusted = { NODE_EXTRA_CA_CERTS: file('authority.pem', authority.cert) };
  const served = { TLS_CERT_FILE: file('cert.pem', pair.cert), TLS_KEY_FILE: file('key.pem', pair.key) };

  before(async () => {
    rabbitmq = await startRabbitmq({ tls: pair });
    system = await startSystem({
      amqpUrl: rabbitmq.tlsUrl,
      counts: COUNTS,
      env: { ...trusted, ...served },
      // The default: that of AMQP_URL.
      envs: { 'data-dispatch-listener': { CLIENT_BROKERS: '' } },
    });
    web = system.publicWebs[0] as Service;
  });
  after(async () => {
    await system?.stop();
    await rabbitmq?.stop();
    rmSync(folder, { recursive: true });
  });

  /** Runs a program of bin/ as somebody who trusts the authority; resolves with what it prints. */
  async function run(program: string, args: string[], env: Record<string, string> = {}): Promise<string> {
    const options = { env: { ...bareEnvironment(), ...trusted, ...env }, timeout: 60_000 };
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [`bin/${program}`, ...args],
      options,
    );
    return stdout + stderr;
  }

  async function sendDataset(): Promise<string> {
    const url = `https://${grpcAddressOf(web).replace('127.0.0.1', 'localhost')}`;
    return await run('dataset-client.mjs', ['--url', url, '--amqp', rabbitmq.tlsUrl]);
  }

  /** Starts a service that trusts nobody new, until the test ends. */
  async function startStranger(t: TestContext, name: string, env: Record<string, string>): Promise<Service> {
    const service = await startService({ name, env: { ...served, INTERNAL_SECRETS, ...env } });
    t.after(() => service.stop());
    return service;
  }
  const hasReason = ({ reason }: LogLine) => /self-signed certificate|unable to verify/.test(String(reason));

  it('answers a ping', async () => {
    // A handshake that takes more than a second, on a machine without time, is a 503 that may be tried again.
    const ask = async () => assert.match(await run('req.mjs', ['--url', `${web.baseUrl}/`]), /PingResponse/);
    await eventually(ask, { timeoutMs: 60_000 });
  });

  it('sends a dataset, asked for by gRPC', async () => {
    assert.match(await sendDataset(), /batches +334, in order, the last one flagged/);
  });

  it('has no connection to a broker without TLS', async () => {
    const api = createManagementApi({ url: rabbitmq.managementUrl });
    const look = async () => {
      const all = await api.connections('/');
      const names = all.map(({ name }) => name);
      assert.deepEqual(
        CONNECTIONS.filter((name) => !names.includes(name)),
        [],
      );
      return all;
    };
    // The API tells of connections a few seconds late; and that to the client's broker, which here is the same one, is kept for
    // 15 s after a dataset, which a machine without time may need to tell of it.
    const connections = await eventually(async () => {
      await sendDataset();
      return await eventually(look, { timeoutMs: 12_000 });
    });
    assert.deepEqual(
      connections.filter(({ isTls }) => !isTls),
      [],
    );
  });

  it('lets the tool for dead letters at its broker, by name and by address', async () => {
    for (const host of ['localhost', '127.0.0.1']) {
      const url = rabbitmq.tlsUrl.replace('localhost', host);
      assert.match(await run('dead-letters.mjs', ['list'], { AMQP_URL: url }), /0 dead letters/);
    }
  });

  it('tells its health to the probe of the containers', async () => {
    const probe = (port: number | undefined) => {
      const env = { ...bareEnvironment(), HEALTH_PORT: String(port) };
      return promisify(execFile)('bash', ['bin/health.sh'], { env });
    };
    await probe(web.healthPort);
    await probe(system.dispatchers[0]?.healthPort);
    await assert.rejects(probe(await freePort()));
  });

  it('is sent nothing by a public-web that does not trust it: 503, and the log says why', async (t) => {
    const url = `https://localhost:${system.dispatchers[0]?.port}`;
    const stranger = await startStranger(t, 'public-web', { DISPATCHER_URLS: url });
    assert.equal((await fetch(`${stranger.baseUrl}/ping`)).status, 503);
    await stranger.waitForLog(hasReason);
  });

  it('has a broker that a dispatcher does not connect to which does not trust it, and the log says why', async (t) => {
    const stranger = await startStranger(t, 'dispatcher', { AMQP_URL: rabbitmq.tlsUrl });
    await stranger.waitForLog(hasReason);
  });

  it('does not start with a key of another certificate', async () => {
    const key = file('other.pem', authority.issue({ names: ['localhost'] }).key);
    await assert.rejects(
      startService({ name: 'dataset-generator', env: { ...served, TLS_KEY_FILE: key } }),
      /TLS_CERT, TLS_KEY: the key is not that of the certificate/,
    );
  });
});
