import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { createAuthority, refusedPairs, trust } from '@waybill/test-harness/certificates.ts';
import { createClientConnections } from './client-connections.ts';

const authority = createAuthority();
trust(authority);

/** Has a client's broker that is to speak TLS be connected to where `server` listens; resolves with how that ends. */
async function connectBy(t: TestContext, server: Server): Promise<unknown> {
  const connections = createClientConnections();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  t.after(async () => {
    await connections.close();
    server.close();
  });
  const broker = { host: 'localhost', port, isTls: true, user: 'user', pass: 'canary' };
  return await connections.withConnection(broker, async () => 'connected').catch((error) => error);
}

describe("a client's broker with amqps:// in CLIENT_BROKERS", () => {
  for (const { why, pair } of refusedPairs(authority))
    it(`is told nothing when it shows a certificate ${why}`, async (t) => {
      const received: (Buffer | string)[] = [];
      const server = createTlsServer(pair, (socket) => socket.on('data', (chunk) => received.push(chunk)));
      server.on('tlsClientError', () => {});
      const error = (await connectBy(t, server)) as Error & { code: string };
      assert.equal(error.code, 'client-queue-unavailable');
      assert.match(error.message, /CERT|UNABLE_TO_VERIFY/);
      assert.deepEqual(received, []);
    });

  it('is told nothing in plain text when it speaks no TLS', async (t) => {
    const received: Buffer[] = [];
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        received.push(Buffer.from(chunk));
        socket.end('AMQP\0\0\x09\x01');
      });
    });
    const error = (await connectBy(t, server)) as Error & { code: string };
    assert.equal(error.code, 'client-queue-unavailable');
    // A TLS handshake (22), and not AMQP's greeting.
    assert.equal(received[0]?.[0], 22);
  });
});
