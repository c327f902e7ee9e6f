import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { type CollectedLog, collectLog } from '@waybill/test-harness/collect-log.ts';
import { databaseIn } from '@waybill/test-harness/database.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { defaultPorts } from '@waybill/tools/system.ts';
import { pidOf } from './pid-of.ts';

/** Far more than nine processes take to start on a busy machine. */
const STARTED_MS = 90_000;

describe('npm start', () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  it('says where the system is once it answers, leaves telemetry alone that goes elsewhere, and exits 0 on Ctrl-C, delivered twice', async (t) => {
    const elsewhere = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' };
    const { url, child, log, ended } = await start(t, { AMQP_URL: broker.url, ...elsewhere });
    await log.waitFor(({ msg }) => msg === 'ready', STARTED_MS);

    const body = JSON.stringify({ type: 'PingRequest', data: { sentAt: 1 } });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body });
    assert.equal(response.status, 200, await response.text());

    child.kill('SIGINT');
    child.kill('SIGINT');
    assert.deepEqual(await ended, [0, null]);
    assert.deepEqual(collectorLines(log), []);
    await assert.rejects(fetch(url));
  });

  it('stops all services and names the one that ended by itself, and leaves telemetry off that is off', async (t) => {
    const { url, child, log, ended } = await start(t, { AMQP_URL: broker.url, OTEL_SDK_DISABLED: 'true' });
    await log.waitFor(({ msg }) => msg === 'ready', STARTED_MS);
    process.kill(pidOf('public-web', child), 'SIGKILL');
    assert.deepEqual(await ended, [1, null]);
    const lines = log.lines.map(({ msg }) => msg).join('\n');
    assert.match(lines, /^public-web was ended by SIGKILL; stopping the others$/m);
    assert.deepEqual(collectorLines(log), []);
    await assert.rejects(fetch(url));
  });
});

describe('npm start on a bare machine', () => {
  it('brings a broker and a collector of its own, and stops them last', async (t) => {
    const { url, child, log, ended } = await start(t, {});
    await log.waitFor(({ msg }) => msg === 'ready', STARTED_MS);
    await log.waitFor(({ msg }) => /^ {2}broker {2}amqp:.*for development only/.test(String(msg)));
    for (const what of ['gRPC', 'TCP', 'stream']) {
      const line = await log.waitFor(({ msg }) => String(msg).startsWith(`  ${what} `));
      await runCommand(/(bin\/.*)$/.exec(String(line.msg))?.[1] ?? '');
    }
    const response = await fetch(`${url}ping`);
    assert.equal(response.status, 200, await response.text());

    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    const stops = log.lines
      .map(({ msg }) => String(msg))
      .filter((msg) => /"msg":"(stopping|embedded broker stops)"/.test(msg));
    const order = stops.map((msg) => msg.split(' ', 1)[0]);
    assert.equal(order[0], 'public-web');
    const stage = ['data-dispatch-listener', 'dispatcher', 'ping-listener', 'square-listener'];
    assert.deepEqual(order.slice(1, 5).sort(), stage);
    assert.deepEqual(order.slice(5, 7).sort(), ['dataset-generator', 'store']);
    assert.deepEqual(order.slice(7).sort(), ['dev-telemetry', 'embedded-broker']);
  });

  it('shows a line of a log as one, and nothing that steers a terminal, whatever an event is named; is named to whoever starts a second one; and takes its services along when it is killed', async (t) => {
    const { url, child, log, ports, env } = await start(t, {});
    await log.waitFor(({ msg }) => msg === 'ready', STARTED_MS);
    const id = 'a\u2028 public-web | {forged}\u2029b\u202ec';
    const body = JSON.stringify({ id, type: 'PingRequest' });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body });
    assert.equal(response.status, 200, await response.text());
    const { msg } = await log.waitFor((line) => String(line.msg).includes('forged'));
    assert.equal(JSON.parse(String(msg).replace(/^public-web +\| /, '')).event_id, id);
    assert.doesNotMatch(String(msg), /[\u2028\u2029\u202e]/);

    await expectFailure(
      t,
      env,
      new RegExp(`^Waybill already runs \\(pid ${child.pid}, http://localhost:${env.PORT}/\\)`),
    );
    child.kill('SIGKILL');
    for (const port of ports)
      await eventually(async () => assert.equal(await outcomeOfConnecting(port), 'ECONNREFUSED'), {
        timeoutMs: STARTED_MS,
      });
  });

  it('goes through no proxy that the environment names, and its programs do not either', async (t) => {
    const proxy = await startProxy(t);
    const names = ['http_proxy', 'https_proxy', 'grpc_proxy', 'all_proxy'];
    const proxies = Object.fromEntries(
      names.flatMap((name) => [name, name.toUpperCase()]).map((name) => [name, proxy.url]),
    );
    const env = { ...proxies, NODE_USE_ENV_PROXY: '1' };
    const { url, child, log, ended } = await start(t, env);
    await log.waitFor(({ msg }) => msg === 'ready', STARTED_MS);
    const line = await log.waitFor(({ msg }) => String(msg).startsWith('  gRPC '));
    await runCommand(/(bin\/.*)$/.exec(String(line.msg))?.[1] ?? '', env);
    assert.equal((await fetch(`${url}ping`)).status, 200);
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    assert.deepEqual(proxy.asked, []);
  });
});

describe('npm start, when it cannot', () => {
  it('refuses a broker URL that is none in one line', async (t) => {
    await expectFailure(t, { AMQP_URL: 'http://127.0.0.1' }, /^AMQP_URL: must start with amqp:/);
    const stray = 'amqp://guest:100%@127.0.0.1:5672';
    await expectFailure(t, { AMQP_URL: stray }, /^AMQP_URL: has a % that begins no escape: write it as %25$/);
  });

  it('names a port that is in use and the variable that changes it', async (t) => {
    const port = await freePort();
    const server = createServer().listen(port, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const env = { AMQP_URL: 'amqp://127.0.0.1', DISPATCHER_PORT: String(port) };
    await expectFailure(t, env, new RegExp(`^port ${port} is in use: .* DISPATCHER_PORT=<port>$`));
    const advice = 'choose another with AMQP_PORT=<port>, or set AMQP_URL if that is a RabbitMQ';
    await expectFailure(t, { AMQP_PORT: String(port) }, new RegExp(advice));
    await expectFailure(t, { TELEMETRY_PORT: String(port) }, /another with TELEMETRY_PORT=<port>$/);
  });

  it('names a setting that is wrong, and an option that is none, and starts nothing', async (t) => {
    await expectFailure(
      t,
      { DEADLINE_MS: 'soon' },
      /^invalid settings:$/,
      /^ {2}DEADLINE_MS: soon is not a whole/,
    );
    const { log, ended } = await start(t, {}, '--port', '9000');
    assert.deepEqual(await ended, [1, null]);
    assert.deepEqual(
      log.lines.map(({ msg }) => msg),
      ["Unknown option '--port'; see --help"],
    );
  });

  it('prints its options on --help', async (t) => {
    const { log, ended } = await start(t, {}, '--help');
    assert.deepEqual(await ended, [0, null]);
    assert.match(String(log.lines[0]?.msg), /^usage: npm start -- /);
  });

  it('names two ports that are the same', async (t) => {
    const port = String(await freePort());
    const message = new RegExp(`^TELEMETRY_PORT and PORT are both ${port}: each needs a port of its own$`);
    await expectFailure(t, { PORT: port, TELEMETRY_PORT: port }, message);
  });
});

type Started = {
  url: string;
  /** All that it listens on, and as settings. */
  ports: number[];
  env: Record<string, string>;
  child: ChildProcess;
  log: CollectedLog;
  /** Resolves with the exit code and the signal. */
  ended: Promise<unknown[]>;
};

async function start(t: TestContext, own: Record<string, string>, ...args: string[]): Promise<Started> {
  const names = [...Object.keys(defaultPorts), 'AMQP_PORT', 'TELEMETRY_PORT'];
  const ports: Record<string, string> = {};
  for (const name of names) ports[name] = String(await freePort());
  const env = { ...ports, ...databaseIn(t), ...own };
  const child = spawn(process.execPath, ['bin/start.mjs', ...args], {
    env: { ...bareEnvironment(), ...env },
  });
  t.after(() => child.kill('SIGTERM')); // it takes its services along
  return {
    url: `http://127.0.0.1:${ports.PORT}/`,
    ports: Object.values(ports).map(Number),
    env,
    child,
    log: collectLog({ name: 'npm start', child }),
    ended: once(child, 'close'),
  };
}

/** What is said by, or of, a collector of its own. */
function collectorLines({ lines }: CollectedLog) {
  return lines.filter(({ msg }) => /^dev-telemetry|trace\.mjs/.test(String(msg)));
}

/** How an attempt to connect went. Whoever listens there may be killed meanwhile, which resets what it had accepted. */
async function outcomeOfConnecting(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('connect', () => resolve('connected'));
  socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code)));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

/** As whoever reads it would run it. */
async function runCommand(command: string, own: Record<string, string> = {}): Promise<void> {
  const env = { ...bareEnvironment(), ...own };
  await promisify(execFile)(process.execPath, command.split(' '), { env, timeout: 30_000 });
}

/** One that refuses; `asked` grows with what came in. */
async function startProxy(t: TestContext): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((socket) =>
    socket
      .on('error', () => {})
      .once('data', (bytes) => {
        asked.push(String(bytes).split('\r\n', 1)[0] ?? '');
        socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n');
      }),
  );
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function expectFailure(
  t: TestContext,
  env: Record<string, string>,
  ...messages: RegExp[]
): Promise<void> {
  const { log, ended } = await start(t, env);
  assert.deepEqual(await ended, [1, null]);
  assert.equal(log.lines.length, messages.length);
  for (const [index, message] of messages.entries()) assert.match(String(log.lines[index]?.msg), message);
}
