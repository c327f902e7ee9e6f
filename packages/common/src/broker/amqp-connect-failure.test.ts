import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { connect } from 'amqplib';
import { pino } from 'pino';
import { describeConnectFailure } from './amqp-connect-failure.ts';
import { createAmqpPublisher } from './amqp-publisher.ts';
import { createTopologyWatch } from './topology-watch.ts';

describe('what is said when there is no connection to the broker', () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  const brokerUrl = (change: Partial<URL>) => Object.assign(new URL(broker.url), change).href;

  it('names the user whose password is wrong, and not the password', async (t) => {
    await expectReason(
      t,
      brokerUrl({ password: 'canary' }),
      /^the broker at \S+:\d+ refuses user guest: is the password right\?$/,
    );
  });

  it('names the virtual host that is not there', async (t) => {
    await expectReason(
      t,
      brokerUrl({ pathname: '/no%2Fpe' }),
      /^the broker at \S+:\d+ has no virtual host no\/pe for user guest$/,
    );
  });

  it('says that a broker without TLS speaks none', async (t) => {
    await expectReason(t, brokerUrl({ protocol: 'amqps:' }), /speaks no TLS: amqp:\/\/ instead of amqps:/);
  });

  it('says that a web server, or anything that speaks first, is no broker', async (t) => {
    const greeting = createServer((socket) => socket.on('error', () => {}).end('220 mail.example ESMTP\r\n'));
    for (const server of [createHttpServer(), greeting])
      await expectReason(t, await urlOf(t, server), /^what answers at 127\.0\.0\.1:\d+ is no AMQP broker/);
  });

  it('says that something hangs up at once', async (t) => {
    const server = createServer((socket) => socket.destroy());
    await expectReason(t, await urlOf(t, server), /^what answers at \S+ hung up at once/);
  });

  it('says that nothing answers, of a server that waits for more', async (t) => {
    const server = createServer((socket) => socket.on('error', () => {}));
    const { hostname, port } = new URL(await urlOf(t, server));
    const target = { hostname, port: Number(port), username: 'guest', vhost: '/' };
    // As in amqp-connection.ts, but for how long it waits.
    const error = await connect(target, { timeout: 50 }).then(
      () => assert.fail('it is connected'),
      (thrown) => thrown,
    );
    const { reason, isMistake } = describeConnectFailure(error, target);
    assert.match(reason, /^nothing at 127\.0\.0\.1:\d+ answers as a broker does: is it one/);
    assert.equal(isMistake, false);
  });

  it('says that nobody listens', async (t) => {
    await expectReason(t, `amqp://127.0.0.1:${await freePort()}`, /^no broker listens at 127\.0\.0\.1:\d+$/);
  });
});

it('warns again when the reason is another, and forgets it once there is a connection', async (t) => {
  const port = await freePort();
  const client = await startClient(t, `amqp://127.0.0.1:${port}`);
  await client.warning(/^no broker listens/);
  const web = createHttpServer();
  await once(web.listen(port, '127.0.0.1'), 'listening');
  await client.warning(/is no AMQP broker/);
  assert.match(String(client.watch.whyNotConnected()), /is no AMQP broker/);
  web.closeAllConnections();
  web.close();

  const broker = await freshBroker();
  t.after(() => broker.close());
  const { watch, connected } = await startClient(t, broker.url);
  watch.notConnected('it was away');
  await connected;
  assert.equal(watch.whyNotConnected(), undefined);
});

async function urlOf(t: TestContext, server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  return `amqp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** In the first line of the log, and for probes that ask whether the process is ready. */
async function expectReason(t: TestContext, url: string, reason: RegExp): Promise<void> {
  const { warning, watch, lines } = await startClient(t, url);
  await warning(reason);
  assert.equal(lines.length, 1);
  assert.match(String(watch.whyNotConnected()), reason);
}

async function startClient(t: TestContext, url: string) {
  const told = new EventEmitter();
  const lines: Record<string, unknown>[] = [];
  const stream = {
    write(text: string) {
      lines.push(JSON.parse(text));
      told.emit('line');
    },
  };
  const log = pino({ level: 'info' }, stream);
  const watch = createTopologyWatch({ log });
  const { promise: connected, resolve: onConnect } = Promise.withResolvers<void>();
  const topology = { exchanges: [], queues: [], bindings: [] };
  const publisher = await createAmqpPublisher({ url, name: 'test', topology, watch, log, onConnect });
  t.after(() => publisher.close(0));
  return {
    watch,
    lines,
    connected,
    /** Resolves when the last line says so. */
    async warning(reason: RegExp) {
      while (!reason.test(String(lines.at(-1)?.reason)))
        await once(told, 'line', { signal: AbortSignal.timeout(30_000) });
    },
  };
}
