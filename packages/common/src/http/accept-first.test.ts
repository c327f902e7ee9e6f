import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { acceptFirst, putOffRequests } from './accept-first.ts';
import { get } from './http-server.fixture.ts';

/** A server as all are, and clients of it; `ask` connects and sends a request at once. */
async function setUp(t: TestContext, handle: RequestListener) {
  const server = createServer(handle);
  acceptFirst(server);
  putOffRequests(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;

  function ask(path: string): Socket {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {}).write(get(path));
    return socket;
  }

  return { server, ask };
}

test('clients that come together are all served before one that keeps asking has been a hundred times', async (t) => {
  let old = 0;
  const { ask } = await setUp(t, ({ url }, response) => {
    if (url === '/old') old += 1;
    response.end();
  });
  const busy = ask('/old').on('data', () => busy.write(get('/old')));
  await once(busy, 'data');
  old = 0;
  await Promise.all(Array.from({ length: 200 }, () => once(ask('/new'), 'data')));
  assert.ok(old < 100, `it was served ${old} times`);
});

test('a request is handled although connections come without end', async (t) => {
  let connections = 0;
  let before = 0;
  const { server, ask } = await setUp(t, (_request, response) => {
    before ||= connections;
    response.end();
  });
  server.on('connection', () => {
    connections += 1;
    if (before === 0 && connections < 1_000) ask('/');
  });
  await once(ask('/'), 'data');
  assert.ok(before < 1_000, 'it was handled when no more came');
});

test('a request is handled although each connection takes long, as a handshake of TLS does', async (t) => {
  let connections = 0;
  let before = 0;
  const { server, ask } = await setUp(t, (_request, response) => {
    before ||= connections;
    response.end();
  });
  server.on('connection', () => {
    connections += 1;
    const untilMs = performance.now() + 3;
    while (performance.now() < untilMs);
  });
  await Promise.all(Array.from({ length: 60 }, () => once(ask('/'), 'data')));
  assert.ok(before < 30, `after ${before} connections`);
});

test('a request that was put off is handled in the context that it came in, and not when its client has gone', async (t) => {
  const span = new AsyncLocalStorage<string>();
  const handled: string[] = [];
  const { server, ask } = await setUp(t, ({ url }, response) => {
    handled.push(`${url} in ${span.getStore()}`);
    response.end();
  });
  runIn(span, server);
  // Heard of as they come.
  const heard: string[] = [];
  server.on('request', (request) => {
    heard.push(String(request.url));
    if (request.url === '/gone') request.destroy();
  });
  ask('/gone');
  const answers = ['/1', '/2', '/3'].map((path) => once(ask(path), 'data'));
  await Promise.all(answers);
  assert.deepEqual(heard.toSorted(), ['/1', '/2', '/3', '/gone']);
  assert.deepEqual(handled.toSorted(), ['/1 in /1', '/2 in /2', '/3 in /3']);
});

/** Each request in a context of its own, as instrumentation has it. */
function runIn(span: AsyncLocalStorage<string>, server: Server): void {
  const emit = server.emit.bind(server) as (...args: unknown[]) => boolean;
  server.emit = ((...args: [string, { url?: string }]) =>
    args[0] === 'request'
      ? span.run(String(args[1].url), () => emit(...args))
      : emit(...args)) as typeof server.emit;
}
