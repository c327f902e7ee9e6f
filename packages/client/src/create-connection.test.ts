import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from './connection.ts';
import { type CreateConnectionOptions, createConnection } from './create-connection.ts';

/** A public-web that has Server-Sent Events alone; its `streams` stay open. */
async function serve(t: TestContext) {
  const streams: ServerResponse[] = [];
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    streams.push(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, streams };
}

/** A connection that is closed behind the test; `became` resolves with its state once it has that name. */
function connect(t: TestContext, options: Partial<CreateConnectionOptions> & { origin: string }) {
  const waiting = new Map<string, (state: Connection['state']) => void>();
  const connection = createConnection({
    headers: {},
    source: '/test',
    onState: (state) => waiting.get(state.name)?.(state),
    ...options,
  });
  t.after(() => connection.close());
  const became = (name: string) =>
    new Promise<Connection['state']>((resolve) => {
      if (connection.state.name === name) resolve(connection.state);
      else waiting.set(name, resolve);
    });
  return { connection, became };
}

/** Puts something in the place of a global, for one test. */
function replaceGlobal(t: TestContext, name: string, value: unknown): void {
  const own = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  t.after(() => {
    if (own) Object.defineProperty(globalThis, name, own);
    else Reflect.deleteProperty(globalThis, name);
  });
}

/** Also what a page's WebSocket does whose policy forbids it. */
function insecure(): never {
  throw new DOMException('insecure', 'SecurityError');
}

describe('a connection', () => {
  for (const [name, WebSocket] of [
    ['may not be made', insecure],
    ['are not there', undefined],
  ] as const)
    it(`takes Server-Sent Events where WebSockets ${name}`, async (t) => {
      replaceGlobal(t, 'WebSocket', WebSocket);
      const { became } = connect(t, await serve(t));
      assert.deepEqual(await became('connected'), { name: 'connected', via: 'event-stream' });
    });

  it('asks for another ticket when none has come for 10 s', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { promise: again, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    connect(t, {
      origin: 'http://127.0.0.1:1',
      ticket() {
        asked += 1;
        if (asked === 2) resolve();
        return new Promise(() => {});
      },
    });
    await new Promise(setImmediate);
    t.mock.timers.tick(10_000);
    await new Promise(setImmediate);
    // The longest pause after the first failure.
    t.mock.timers.tick(500);
    await again;
  });

  it('needs no lock where none may be asked for', async (t) => {
    replaceGlobal(t, 'navigator', { locks: { request: async () => insecure() } });
    replaceGlobal(t, 'WebSocket', undefined);
    const { became } = connect(t, await serve(t));
    await became('connected');
  });

  it('ends by what keeps it from connecting at all', async (t) => {
    replaceGlobal(t, 'WebSocket', undefined);
    // No URL can have it.
    const { connection } = connect(t, { ...(await serve(t)), client: '\uD800' });
    assert.equal((await connection.closed)?.problem.code, 'unexpected');
  });

  it('is closed once, however often that is asked for', async (t) => {
    const { origin, streams } = await serve(t);
    replaceGlobal(t, 'WebSocket', undefined);
    const { promise: isDone, resolve: finish } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { connection, became } = connect(t, {
      origin,
      onEvent() {
        begin();
        return isDone;
      },
    });
    await became('connected');
    streams[0]?.write('data: {"id":"1","type":"Done","token":"e.1"}\n\n');
    await begun;
    const closes = [connection.close(), connection.close()];
    finish();
    await Promise.all(closes);
    assert.equal(connection.state.name, 'closed');
  });

  it('refuses data that cannot be JSON, whether it is connected or not, and keeps nothing of it', async (t) => {
    replaceWebSocket(t);
    const { connection, became } = connect(t, { origin: 'http://server' });
    await assert.rejects(connection.request('Order.Place', 1n), TypeError);
    await became('connected');
    await assert.rejects(connection.request('Order.Place', { quantity: 1n }), TypeError);
    await connection.close();
  });

  it('sends data as it was when it was asked for, and what its event belongs to', async (t) => {
    const sockets = replaceWebSocket(t);
    const { connection, became } = connect(t, { origin: 'http://server' });
    const data = { sku: 'tea' };
    const asked = connection.request('Order.Place', data, { id: 'mine', partitionkey: 'account 7' });
    data.sku = 'coffee';
    await became('connected');
    const [socket] = sockets;
    const sent = JSON.parse(String(socket?.sent[0]));
    assert.deepEqual([sent.data, sent.partitionkey], [{ sku: 'tea' }, 'account 7']);
    socket?.onmessage?.({ data: '{"id":"1","type":"Order.Placed","requestid":"mine","token":"e.1"}' });
    assert.equal((await asked).type, 'Order.Placed');
    t.mock.method(globalThis, 'fetch', async () => new Response('[]'));
    await connection.close();
  });

  it('opens nothing more when it is closed between two links, and stays closed', async (t) => {
    const sockets = replaceWebSocket(t);
    // The next link would be opened while the last acknowledgement is under way.
    t.mock.method(Math, 'random', () => 0);
    const asked: string[] = [];
    t.mock.method(globalThis, 'fetch', async (url: URL) => {
      asked.push(url.pathname);
      await pause(50);
      return new Response('[]');
    });
    const states: string[] = [];
    const connection = createConnection({
      origin: 'http://server',
      headers: {},
      source: '/test',
      client: 'shop:7',
      onState: ({ name }) => states.push(name),
    });
    await new Promise(setImmediate);
    const [socket] = sockets;
    socket?.onmessage?.({ data: '{"id":"1","type":"Done","token":"e.1"}' });
    await new Promise(setImmediate);
    socket?.onclose?.({ code: 1012 });
    await connection.close();
    assert.deepEqual(asked, ['/clients/shop%3A7/mailbox']);
    assert.equal(sockets.length, 1);
    assert.deepEqual(states, ['connected', 'closed']);
  });

  it('stays closed whatever is told of its lock afterwards', async (t) => {
    const { promise: isTold, resolve: tell } = Promise.withResolvers<void>();
    const request = async (...[, , take]: [string, object, (lock: null) => unknown]) => {
      await isTold;
      return take(null);
    };
    replaceGlobal(t, 'navigator', { locks: { request } });
    const states: string[] = [];
    const { connection } = connect(t, { ...(await serve(t)), onState: ({ name }) => states.push(name) });
    await connection.close();
    tell();
    await new Promise(setImmediate);
    assert.deepEqual(states, ['closed']);
  });
});

/** As much of a WebSocket as a link uses, and what was sent over it. */
type WebSocketLike = {
  readyState: number;
  sent: string[];
  send(text: string): void;
  close(): void;
  onopen?(): void;
  onmessage?(message: { data: string }): void;
  onclose?(event: { code: number }): void;
};

/** From now on, for one test, WebSockets are these, each of which opens at once. */
function replaceWebSocket(t: TestContext): WebSocketLike[] {
  const sockets: WebSocketLike[] = [];
  replaceGlobal(t, 'WebSocket', function open() {
    const sent: string[] = [];
    const close = () => socket.onclose?.({ code: 1000 });
    const socket: WebSocketLike = { readyState: 1, sent, send: (text) => sent.push(text), close };
    sockets.push(socket);
    queueMicrotask(() => socket.onopen?.());
    return socket;
  });
  return sockets;
}
