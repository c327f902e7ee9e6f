import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { type WebSocket as Peer, WebSocketServer } from 'ws';
import type { Message } from './link.ts';
import { openWebSocketLink } from './websocket-link.ts';

const OPTIONS = { client: 'a client', headers: {}, after: () => undefined, settled: async () => {} };

/** An open link, its other end, and what has come over it. */
async function open(t: TestContext) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => server.close());
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const messages: Message[] = [];
  const { promise: opened, resolve: onOpen } = Promise.withResolvers<void>();
  const arrivals: (() => void)[] = [];
  const link = openWebSocketLink({
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...OPTIONS,
    onOpen,
    onMessage(message) {
      messages.push(message);
      arrivals.shift()?.();
    },
  });
  const [peer, request] = (await connected) as [Peer, { url: string }];
  t.after(() => peer.terminate());
  await opened;
  /** Sends messages; resolves once the last, which is none of the link's own, has come. */
  const say = async (...said: object[]) => {
    const arrival = new Promise<void>((resolve) => arrivals.push(resolve));
    for (const message of said) peer.send(JSON.stringify(message));
    await arrival;
  };
  return { link, peer, messages, say, url: request.url };
}

const HEARTBEAT = { type: 'waybill.Heartbeat' };

describe('a link by WebSocket', () => {
  it('asks for heartbeats, and keeps them for itself', async (t) => {
    const { link, peer, messages, say, url } = await open(t);
    assert.equal(new URL(url, 'ws://host').searchParams.get('heartbeats'), 'true');
    await say(HEARTBEAT, { id: '1', type: 'Other', token: 'e.1' });
    assert.deepEqual(
      messages.map(({ type }) => type),
      ['Other'],
    );
    await Promise.all([once(peer, 'close'), link.close()]);
  });

  it('is lost when nothing has come for 45 s, as when its network has gone without a word', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { link, say } = await open(t);
    let isOver = false;
    void link.ended.then(() => {
      isOver = true;
    });
    for (let count = 0; count < 3; count += 1) {
      t.mock.timers.tick(44_000);
      await say(HEARTBEAT, { id: String(count), type: 'Other', token: `e.${count}` });
    }
    assert.equal(isOver, false);
    t.mock.timers.tick(45_000);
    assert.deepEqual(await link.ended, { kind: 'lost' });
  });

  it('waits for ever where no heartbeats come, as from a public-web of before', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { link, peer, messages, say } = await open(t);
    await say({ id: '1', type: 'Other', token: 'e.1' });
    t.mock.timers.tick(600_000);
    await say({ id: '2', type: 'Other', token: 'e.2' });
    assert.equal(messages.length, 2);
    await Promise.all([once(peer, 'close'), link.close()]);
  });

  it('ends within 2 s of being closed, though its other end goes on sending', async (t) => {
    const own = globalThis.WebSocket;
    t.after(() => {
      globalThis.WebSocket = own;
    });
    /** One whose other end never closes; a browser hands on what comes meanwhile. */
    const socket = { readyState: 1, onopen() {}, onmessage(_: { data: string }) {}, close() {} };
    socket.close = () => {
      socket.readyState = 2;
    };
    globalThis.WebSocket = function open() {
      return socket;
    } as unknown as typeof WebSocket;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const link = openWebSocketLink({ ...OPTIONS, origin: 'http://host', onOpen() {}, onMessage() {} });
    await new Promise(setImmediate);
    socket.onopen();
    const closed = link.close();
    socket.onmessage({ data: '{"id":"1","type":"Other","token":"e.1"}' });
    t.mock.timers.tick(2_000);
    await closed;
  });
});
