import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { createAuthority, trust } from '@waybill/test-harness/certificates.ts';
import { get, serve } from './http-server.fixture.ts';
import { addHealthRoutes, drainHttpServer } from './http-server.ts';

const authority = createAuthority();
const tls = authority.issue({ names: ['localhost'] });
trust(authority);

async function serveTls(t: TestContext) {
  const server = await serve(t, { tls, routes: (app) => addHealthRoutes(app, () => undefined) });
  const port = Number(new URL(server.url).port);
  return { ...server, port, health: () => fetch(`https://localhost:${port}/health/live`) };
}

/** Resolves when the server has ended the connection, in whatever way. */
const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

describe('a server with a certificate', () => {
  test('answers over TLS', async (t) => {
    const { health } = await serveTls(t);
    assert.equal((await health()).status, 200);
  });

  test('speaks TLS 1.2 and nothing older', async (t) => {
    const { port } = await serveTls(t);
    // OpenSSL itself knows older versions only at this level.
    const withVersion = (version: 'TLSv1.1' | 'TLSv1.2'): ConnectionOptions => ({
      port,
      host: 'localhost',
      minVersion: version,
      maxVersion: version,
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const current = connect(withVersion('TLSv1.2'));
    await once(current, 'secureConnect');
    current.destroy();
    await assert.rejects(once(connect(withVersion('TLSv1.1')), 'secureConnect'), /alert protocol version/);
  });

  test('closes a connection that speaks plain HTTP, logs nothing, and goes on', async (t) => {
    const { open, health, logs } = await serveTls(t);
    const socket = await open();
    const received: unknown[] = [];
    socket.on('data', (chunk) => received.push(chunk));
    socket.write(get('/health/live'));
    await closed(socket);
    assert.deepEqual(received, []);
    assert.equal((await health()).status, 200);
    assert.deepEqual(logs, []);
  });

  test('cuts off at the deadline of its drain what has not ended its handshake', async (t) => {
    const { app, open } = await serveTls(t);
    const faults: unknown[] = [];
    app.server.on('tlsClientError', ({ code }: NodeJS.ErrnoException) => faults.push(code));
    const accepted = once(app.server, 'connection');
    const silent = await open();
    await accepted;
    await Promise.all([closed(silent.resume()), drainHttpServer(app, { idleMs: 1, deadlineMs: 1 })]);
    // Or it would have been the handshake's own bound, of 5 s, that ended it.
    assert(!faults.includes('ERR_TLS_HANDSHAKE_TIMEOUT'), String(faults));
  });

  // Node's own bound is 120 s.
  test('closes a connection that does not begin a handshake', { timeout: 60_000 }, async (t) => {
    const { open } = await serveTls(t);
    await closed((await open()).resume());
  });
});
