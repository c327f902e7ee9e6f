import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { createAuthority, type KeyPair, refusedPairs, trust } from '@waybill/test-harness/certificates.ts';
import { pino } from 'pino';
import { createAmqpPublisher } from './amqp-publisher.ts';

const authority = createAuthority();
trust(authority);

type Line = { msg: string; reason?: string };

/**
 * Has a publisher connect by `amqps:`, several times, to a port with `tls` or none, where nobody sees a byte of AMQP.
 * Resolves with what it logs.
 */
async function connectTo(t: TestContext, tls?: KeyPair): Promise<Line[]> {
  const attempts = new EventEmitter();
  const received: unknown[] = [];
  const server = tls
    ? createTlsServer(tls, (socket) => socket.on('data', (chunk) => received.push(chunk)))
    : createTcpServer();
  // To Node's TLS client anything but TLS is an error; RabbitMQ answers what it does not know with its protocol.
  server.on('connection', (socket) => {
    if (!tls) socket.once('data', () => socket.end('AMQP\0\0\x09\x01'));
    socket.once('close', () => attempts.emit('ended'));
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const lines: Line[] = [];
  const publisher = await createAmqpPublisher({
    url: `amqps://localhost:${port}`,
    name: 'test',
    topology: { exchanges: [], queues: [], bindings: [] },
    log: pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  });
  t.after(async () => {
    await publisher.close(0);
    server.close();
  });
  for (let attempt = 0; attempt < 3; attempt += 1) await once(attempts, 'ended');
  assert.deepEqual(received, []);
  return lines;
}

function assertOneWarning([line, ...others]: Line[], reason: RegExp): void {
  assert.equal(line?.msg, 'cannot connect to the broker, trying again');
  assert.match(String(line?.reason), reason);
  assert.deepEqual(others, []);
}

describe('a broker reached by amqps:', () => {
  for (const { why, pair, reason } of refusedPairs(authority))
    it(`is not connected to when it shows a certificate ${why}, and one line says so`, async (t) => {
      assertOneWarning(await connectTo(t, pair), reason);
    });

  it('is not connected to when it speaks no TLS, and one line says so', async (t) => {
    assertOneWarning(await connectTo(t), /speaks no TLS/);
  });
});
