import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { databaseIn } from '@waybill/test-harness/database.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { freshBroker } from '@waybill/test-harness/test-broker.ts';
import { defaultPorts } from '@waybill/tools/system.ts';
import { pidOf } from './pid-of.ts';

describe('npm run demo', () => {
  it('shows the answer to a ping and its trace with the log lines, leaves nothing behind, and exits 0', async (t) => {
    const { code, stdout, stderr, ports } = await demo(t, {});
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    expectPing(stdout);
    expectStream(stdout);
    expectDataset(stdout);
    assert.match(stdout, /^starting embedded-broker, dev-telemetry, dataset-generator, store, dispatcher/m);
    for (const port of Object.values(ports)) await expectFree(port);
  });

  it('uses the broker of AMQP_URL', async (t) => {
    const broker = await freshBroker();
    t.after(() => broker.close());
    const { code, stdout, stderr } = await demo(t, { AMQP_URL: broker.url });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    expectPing(stdout);
    expectStream(stdout);
    expectDataset(stdout);
    assert.match(stdout, /^starting dev-telemetry, dataset-generator, store, dispatcher/m);
  });

  it('names the part that failed with what it said, and exits 1', async (t) => {
    const { child, ended } = await start(t, {});
    // The others start once the broker is ready.
    await eventually(() => assert.ok(pidOf('dispatcher', child)), { timeoutMs: 60_000 });
    process.kill(pidOf('embedded-broker', child), 'SIGKILL');
    const { code, stderr } = await ended;
    assert.equal(code, 1);
    assert.match(stderr, /^the demo failed: embedded-broker was ended by SIGKILL; it said last:$/m);
    assert.match(stderr, /"msg":"listening"/);
  });

  it('says what is wrong with a setting before anything starts, and exits 1', async (t) => {
    const { code, stdout, stderr } = await demo(t, { DEADLINE_MS: 'soon' });
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
    assert.match(stderr, /DEADLINE_MS: soon is not a whole number/);
  });

  it('says so when the ping fails', async (t) => {
    const { code, stderr } = await demo(t, { PUBLIC_EVENT_TYPES: 'OtherRequest' });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^404 .*\(unroutable\), trace id [0-9a-f]{32}\nthe demo failed: bin\/req\.mjs ended with exit code 1\n$/,
    );
  });

  it('says so when the dataset does not arrive', async (t) => {
    const { code, stdout, stderr } = await demo(t, { CLIENT_BROKERS: 'elsewhere:5672' });
    assert.equal(code, 1);
    expectPing(stdout);
    assert.match(stderr, /the demo failed: bin\/dataset-client\.mjs ended with exit code 1\n$/);
  });

  it('stops everything when it is interrupted', async (t) => {
    const { child, ended } = await start(t, {});
    for await (const line of child.stdout) if (String(line).startsWith('starting')) break;
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    assert.deepEqual({ code, stderr }, { code: 1, stderr: 'interrupted\n' });
  });

  it('names a port that is in use', async (t) => {
    const port = String(await freePort());
    const server = createServer().listen(Number(port), '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const { code, stdout, stderr } = await demo(t, { TELEMETRY_PORT: port });
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
    assert.match(stderr, new RegExp(`^port ${port} is in use: .* TELEMETRY_PORT=<port>\n$`));
  });
});

function expectPing(stdout: string): void {
  assert.match(stdout, /"type": "PingResponse"/);
  const traceId = /^trace id: ([0-9a-f]{32})$/m.exec(stdout)?.[1];
  assert.match(stdout, new RegExp(`^trace ${traceId} · 6 spans · 3 services · .* ms$`, 'm'));
  for (const row of [
    'public-web +POST /',
    'public-web +└ send PingRequest',
    'dispatcher +└ route PingRequest',
    'ping-listener +└ process PingRequest',
    'dispatcher +└ route PingResponse',
    'public-web +└ deliver PingResponse',
  ]) {
    assert.match(stdout, new RegExp(`^${row} .*[█▏▎▍▌▋▊▉].* (ms|µs)$`, 'm'));
  }
  assert.match(stdout, /^public-web .*· info event answered /m);
  assert.match(stdout, /^ping-listener .*· debug event handled /m);
}

function expectStream(stdout: string): void {
  const lines = /^demo-[0-9a-f]{8} connects\n[\s\S]*?\n\n/m
    .exec(stdout)?.[0]
    .replaceAll(/demo-[0-9a-f]{8}/g, 'it');
  assert.equal(
    lines,
    `it connects
it is answered ping-1: PingResponse
it is answered ping-2: PingResponse
it is answered ping-3: PingResponse
it disconnects
ping-4, ping-5, ping-6 are sent meanwhile
it connects again
it has missed ping-4: PingResponse
it has missed ping-5: PingResponse
it has missed ping-6: PingResponse

`,
  );
}

function expectDataset(stdout: string): void {
  assert.match(stdout, /^notified localhost:\d+ of demo-/m);
  assert.match(stdout, /^batches {3}334, in order, the last one flagged$/m);
  assert.match(stdout, /^data {6}31\.4 MB \(31360000 bytes\)$/m);
  assert.match(stdout, /^repeated {2}0$/m);
}

async function start(t: TestContext, env: Record<string, string>) {
  const ports: Record<string, string> = {};
  for (const name of [...Object.keys(defaultPorts), 'AMQP_PORT', 'TELEMETRY_PORT']) {
    ports[name] = String(await freePort());
  }
  const child = spawn(process.execPath, ['bin/demo.mjs'], {
    env: { ...bareEnvironment(), ...ports, ...databaseIn(t), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGTERM')); // it takes its services along
  const ended = Promise.all([once(child, 'close'), text(child.stderr)]).then(([[code], stderr]) => ({
    code: code as number | null,
    stderr,
  }));
  return { child, ended, ports };
}

async function demo(t: TestContext, env: Record<string, string>) {
  const { child, ended, ports } = await start(t, env);
  const [stdout, outcome] = await Promise.all([text(child.stdout), ended]);
  return { ...outcome, stdout, ports };
}

async function expectFree(port: string): Promise<void> {
  const server = createServer().listen(Number(port), '127.0.0.1');
  await once(server, 'listening');
  server.close();
}
