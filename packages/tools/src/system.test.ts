import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { createAuthority } from '@waybill/test-harness/certificates.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { noteRunningSystem } from '../../../bin/plain/running-systems.mjs';
import { readPorts } from './ports.ts';
import { defaultPorts, describeSystem } from './system.ts';

describe('what is said before npm start starts anything', () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  it('is nothing when all is well', async () => {
    const { doubts } = await describeSystem(await freePorts({ AMQP_URL: broker.url }));
    assert.deepEqual(doubts, []);
  });

  it('names the wrong settings of every service at once, and each once', async () => {
    const env = {
      DEADLINE_MS: 'soon',
      LOG_LEVEL: 'loud',
      CONCURRENCY: '0',
      SHUFFLE_SEED: 'x',
      MAX_BYTES: 'x',
    };
    await assert.rejects(describeSystem(await freePorts(env)), ({ message }: Error) => {
      const [title, ...faults] = message.split('\n');
      assert.equal(title, 'invalid settings:');
      assert.deepEqual(faults.map((fault) => fault.split(':')[0]?.trim()).sort(), Object.keys(env).sort());
      return true;
    });
  });

  it('asks whether a setting was meant, and starts', async () => {
    const { doubts } = await describeSystem(await freePorts({ PUBLIC_EVENT_TYPS: 'Greeting' }));
    assert.deepEqual(doubts, ['PUBLIC_EVENT_TYPS is no setting: did you mean PUBLIC_EVENT_TYPES?']);
  });

  it('asks so of what it would set itself', async () => {
    const env = await freePorts({ PUBLIC_EVENT_TYPS: 'Greeting' });
    const { doubts } = await describeSystem(env, { listeners: ['/shop/greeting.ts'] });
    assert.equal(doubts.length, 1);
  });

  it('refuses a broker that refuses us', async () => {
    const url = new URL(broker.url);
    url.password = 'wrong';
    const env = await freePorts({ AMQP_URL: url.href });
    await assert.rejects(describeSystem(env), /refuses user guest: is the password right\?$/);
  });

  it('says which broker is waited for when nobody listens there', async () => {
    const port = await freePort();
    const { doubts } = await describeSystem(await freePorts({ AMQP_URL: `amqp://127.0.0.1:${port}` }));
    assert.deepEqual(doubts, [`no broker listens at 127.0.0.1:${port} (AMQP_URL): waiting for it`]);
  });
});

it('the services of npm start log all that a trace shows, as those of the demo do', async () => {
  const { stages, telemetryUrl } = await describeSystem(await freePorts({}));
  const tiers = stages.flat().filter(({ name }) => !['embedded-broker', 'dev-telemetry'].includes(name));
  assert.ok(tiers.length > 5);
  for (const { name, env } of tiers) {
    assert.equal(env.LOG_LEVEL, 'debug', name);
    assert.equal(env.OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, `${telemetryUrl}/v1/logs`, name);
  }
});

describe('a certificate that npm start is given', () => {
  const authority = createAuthority();

  it('is that of public-web alone, which the dispatcher then calls by its name', async () => {
    const pair = authority.issue({ names: ['localhost'] });
    const env = await freePorts({ TLS_CERT: pair.cert, TLS_KEY: pair.key });
    const { stages, publicUrl, grpcAddress } = await describeSystem(env);
    assert.equal(publicUrl, `https://localhost:${env.PORT}`);
    assert.equal(grpcAddress, `https://localhost:${env.GRPC_PORT}`);
    const having = stages.flat().filter((service) => service.env.TLS_CERT || service.env.TLS_KEY);
    assert.deepEqual(
      having.map(({ name, env: { INTERNAL_URL } }) => [name, INTERNAL_URL]),
      [['public-web', `https://localhost:${env.INTERNAL_PORT}`]],
    );
  });

  it('has to be for localhost, unless dispatchers call it otherwise', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'waybill-certificate-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const { cert, key } = authority.issue({ names: ['elsewhere.test'] });
    writeFileSync(join(folder, 'cert.pem'), cert);
    const env = await freePorts({ TLS_CERT_FILE: join(folder, 'cert.pem'), TLS_KEY: key });
    await assert.rejects(describeSystem(env), /the certificate \(TLS_CERT\) is not for localhost/);
    await describeSystem({ ...env, INTERNAL_URL: 'https://elsewhere.test:8081' });
  });
});

it('npm start gives the keys of peers of a mesh to public-web alone', async () => {
  const peer = { id: 'a', address: 'a:1', hash: `sha256:${'0'.repeat(64)}`, key: 'k'.repeat(40) };
  const mesh = { MESH_ID: 'b', MESH_ADDRESS: 'b:1', MESH_NAMESPACES: 'acme' };
  const { stages } = await describeSystem(await freePorts({ ...mesh, MESH_PEERS: JSON.stringify([peer]) }));
  const having = stages.flat().filter(({ env }) => env.MESH_PEERS);
  assert.deepEqual(
    having.map(({ name }) => name),
    ['public-web'],
  );
});

describe('the ports of npm start', () => {
  it('are moved together, but for those that a variable sets', () => {
    const ports = readPorts({ TCP_PORT: '9000' }, defaultPorts, 100);
    const moved = Object.entries(defaultPorts).map(([name, port]) => [name, port + 100]);
    assert.deepEqual(ports, { ...Object.fromEntries(moved), TCP_PORT: 9000 });
  });

  it('are named with the variables that change them when others use them', async (t) => {
    const [one, other] = [await takenPort(t), await takenPort(t)];
    const env = await freePorts({ GRPC_PORT: `${one}`, TCP_PORT: `${other}` });
    const ports = `ports ${other} (TCP_PORT), ${one} (GRPC_PORT) are in use`;
    await assert.rejects(describeSystem(env), {
      message: `${ports}: stop what uses them, or move all ports with --port-offset <n>`,
    });
  });

  it('are those of a Waybill that runs already, which is named', async (t) => {
    const port = await takenPort(t);
    const note = { pid: process.pid, publicUrl: 'http://localhost:1', ports: [port], services: [] };
    t.after(noteRunningSystem(note));
    const env = await freePorts({ TCP_PORT: `${port}` });
    const message = `Waybill already runs (pid ${process.pid}, http://localhost:1/): stop it, or start another beside it with --port-offset 100`;
    await assert.rejects(describeSystem(env), { message });
  });

  it('are not those of one that was killed', async (t) => {
    const port = await takenPort(t);
    const gone = { pid: 2 ** 22 + 1, publicUrl: 'http://localhost:1', ports: [port], services: [] };
    t.after(noteRunningSystem(gone));
    await assert.rejects(
      describeSystem(await freePorts({ TCP_PORT: `${port}` })),
      /^Error: port \d+ is in use/,
    );
  });
});

/** An environment in which every port is free, and `env`. */
async function freePorts(env: Record<string, string>): Promise<Record<string, string>> {
  const ports: Record<string, string> = {};
  for (const name of [...Object.keys(defaultPorts), 'AMQP_PORT', 'TELEMETRY_PORT'])
    ports[name] = String(await freePort());
  return { ...ports, ...env };
}

async function takenPort(t: TestContext): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}
