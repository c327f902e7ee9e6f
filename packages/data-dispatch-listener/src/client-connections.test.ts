import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { encodeMethodFrame } from '../../embedded-broker/src/codec/frames.ts';
import { createEmbeddedBroker } from '../../embedded-broker/src/create-embedded-broker.ts';
import { type ClientBroker, type ClientConnections, createClientConnections } from './client-connections.ts';

/** More than may try a broker at once that cannot be reached. */
const MANY = 8;

describe("connections to clients' brokers", () => {
  let broker: Awaited<ReturnType<typeof createEmbeddedBroker>>;
  let proxy: TcpProxy;
  let connections: ClientConnections;
  before(async () => {
    broker = await createEmbeddedBroker();
    proxy = await startTcpProxy({ target: broker.url });
  });
  beforeEach(() => {
    connections = createClientConnections();
  });
  afterEach(async () => {
    await connections.close();
    await eventually(() => assert.equal(proxy.open(), 0));
  });
  after(async () => {
    await proxy.close();
    await broker.close();
  });

  const at = (port: number): ClientBroker => ({
    ...{ host: '127.0.0.1', port, isTls: false },
    ...{ user: 'guest', pass: 'guest' },
  });
  const unavailable = { code: 'client-queue-unavailable' };

  /** Has `MANY` use the broker at once; resolves with the code of each error, or `used`. */
  async function useByMany(port: number): Promise<string[]> {
    const users = Promise.withResolvers<void>();
    let count = 0;
    const use = async () => {
      count += 1;
      if (count === MANY) users.resolve();
      await users.promise;
      return 'used';
    };
    const fail = (error: AppError) => {
      users.resolve();
      return error.code;
    };
    return await Promise.all(
      Array.from({ length: MANY }, () => connections.withConnection(at(port), use).catch(fail)),
    );
  }
  const usedByAll = Array.from({ length: MANY }, () => 'used');

  it('let all clients of a broker go on when the queue of one fails', async () => {
    const failing = connections.withConnection(at(proxy.port), async () => {
      throw new AppError('client-queue-unavailable', 'the queue does not answer');
    });
    await assert.rejects(failing, unavailable);
    assert.deepEqual(await useByMany(proxy.port), usedByAll);
  });

  it('let all clients of a broker go on when it refuses its virtual host to one', async () => {
    const openOk = encodeMethodFrame(0, 'connection.open-ok', { reserved1: '' });
    const refused = { replyCode: 530, replyText: 'NOT_ALLOWED', classId: 10, methodId: 40 };
    const close = encodeMethodFrame(0, 'connection.close', refused);
    proxy.setNextFault({ rewrite: (chunk) => (chunk.includes(openOk) ? close : chunk) });
    const failing = connections.withConnection(at(proxy.port), async () => {});
    await assert.rejects(failing, { ...unavailable, message: /no access to its default virtual host/ });
    assert.deepEqual(await useByMany(proxy.port), usedByAll);
  });

  it('end one whose broker goes on sending, but never so much that it is connected', async (t) => {
    const CONNECT_TIMEOUT_MS = 200;
    const { port, closed } = await startHostile(t, (socket) => {
      // The start of a frame of 64 kB.
      socket.write(Buffer.from([1, 0, 0, 0, 1, 0, 0]));
      const drip = setInterval(() => socket.write('x'), CONNECT_TIMEOUT_MS / 2);
      socket.once('close', () => clearInterval(drip));
    });
    const impatient = createClientConnections({ connectTimeoutMs: CONNECT_TIMEOUT_MS });
    await assert.rejects(
      impatient.withConnection(at(port), async () => {}),
      unavailable,
    );
    await closed;
  });

  it('end one whose broker sends a frame larger than what was offered, before it has all of it', async (t) => {
    const { port, closed } = await startHostile(t, (socket) => {
      const header = Buffer.from([1, 0, 0, 0, 0, 0, 0]);
      header.writeUInt32BE(131_073, 3);
      socket.write(header);
    });
    const failing = connections.withConnection(at(port), async () => {});
    await assert.rejects(failing, { ...unavailable, message: /Frame size/ });
    await closed;
  });
});

/** What calls itself a broker; `closed` resolves when the first connection to it has ended. */
async function startHostile(t: TestContext, serve: (socket: Socket) => void) {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('close', () => resolve());
    socket.resume();
    serve(socket);
  });
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, closed };
}
