/** `@waybill/client` as a client that stays, over all tiers: what it has asked, and what it has missed, whatever happens to its links. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import {
  ConnectionFailed,
  type ConnectionState,
  type ConnectOptions,
  createClient,
  type MailboxEvent,
  RequestFailed,
} from '@waybill/client';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { startTcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

const KEY = 'wb_a-key-of-this-test-alone-0123456789abcdef';
const API_KEYS = JSON.stringify([
  {
    id: 'shop',
    hash: `sha256:${createHash('sha256').update(KEY).digest('hex')}`,
    rate: 10_000,
    burst: 10_000,
  },
]);

describe('a connection of the client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-client-'));
  let broker: TestBroker;
  let system: System;
  let store: Service;
  let web: Service;
  let otherWeb: Service;
  before(async () => {
    broker = await freshBroker();
    const port = await freePort();
    const env = { STORE_URLS: `http://127.0.0.1:${port}`, DEADLINE_MS: '60000' };
    [system, store] = await Promise.all([
      startSystem({
        amqpUrl: broker.url,
        counts: { 'public-web': 2 },
        env,
        envs: { 'public-web': { API_KEYS } },
      }),
      startService({
        name: 'store',
        env: { INTERNAL_SECRETS, PORT: String(port), DATABASE_URL: `sqlite:${folder}/store.db` },
      }),
    ]);
    await store.ready();
    [web, otherWeb] = system.publicWebs as [Service, Service];
  });
  after(async () => {
    await system.stop();
    await store.stop();
    await broker.close();
    rmSync(folder, { recursive: true });
  });

  /** A connection, with what it was told. */
  function connect(
    t: TestContext,
    { url = web.baseUrl, apiKey = KEY, ...options }: ConnectOptions & { url?: string; apiKey?: string } = {},
  ) {
    const events: MailboxEvent[] = [];
    const states: ConnectionState[] = [];
    const connection = createClient({ url, apiKey }).connect({
      client: randomUUID(),
      onEvent: (event) => events.push(event),
      onState: (state) => states.push(state),
      ...options,
    });
    t.after(() => connection.close());
    const { client } = connection;
    return {
      connection,
      client,
      events,
      states,
      isConnected: (times = 1) =>
        eventually(() => {
          const connected = states.filter(({ name }) => name === 'connected');
          assert.ok(connected.length >= times);
          return connected.at(-1);
        }),
      /** Asks so many times at once; resolves with the numbers in the order in which the answers came. */
      async askAll(count: number) {
        const order: number[] = [];
        const asked = Array.from({ length: count }, async (_, index) => {
          const { type, data } = await connection.request<{ sentAt: number }>(
            'PingRequest',
            { sentAt: index },
            { timeoutMs: 90_000 },
          );
          assert.deepEqual([type, data.sentAt], ['PingResponse', index]);
          return order.push(index);
        });
        await Promise.all(asked);
        return order;
      },
    };
  }

  /** Sends an event whose result goes to the mailbox of a client that is not connected. */
  async function post(client: string, id: string): Promise<void> {
    const response = await fetch(`${web.baseUrl}/clients/${client}/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ id, type: 'PingRequest', data: {} }),
    });
    assert.equal(response.status, 202);
  }

  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
  const requestIds = (events: MailboxEvent[]) => events.map(({ requestid }) => requestid);

  it('answers each of many requests at once, in their order', async (t) => {
    const { askAll, events, isConnected } = connect(t);
    assert.deepEqual(await askAll(400), numbers(400));
    assert.deepEqual(await isConnected(), { name: 'connected', via: 'websocket' });
    assert.deepEqual(events, []);
  });

  it('tells a request what is wrong with it, and harms no other', async (t) => {
    const { connection, askAll } = connect(t);
    const others = askAll(50);
    const deep = JSON.parse(`${'['.repeat(50)}${']'.repeat(50)}`);
    const failures = [
      connection.request('NobodyTakesThis'),
      connection.request('PingRequest', deep),
      connection.request('PingRequest', 'x'.repeat(300_000)),
    ].map((asked) => assert.rejects(asked, RequestFailed).then(() => asked.catch((error) => error)));
    const codes = (await Promise.all(failures)).map((error: RequestFailed) => [
      error.problem.code,
      error.hasNotRun,
    ]);
    assert.deepEqual(codes, [
      ['unroutable', true],
      ['invalid-request', true],
      ['too-large', true],
    ]);
    assert.deepEqual(await others, numbers(50));
  });

  it('brings what came meanwhile, in order, acknowledges it and brings it never again', async (t) => {
    const client = randomUUID();
    const ids = numbers(20).map(String);
    for (const id of ids) await post(client, id);
    const first = connect(t, { client });
    await eventually(() => assert.equal(first.events.length, 20));
    assert.deepEqual(requestIds(first.events), ids);
    await first.connection.close();
    assert.deepEqual(await first.connection.closed, undefined);
    const second = connect(t, { client });
    assert.deepEqual(await second.askAll(1), [0]);
    assert.deepEqual(second.events, []);
  });

  it('goes on from a token that its user kept', async (t) => {
    const client = randomUUID();
    for (const id of ['1', '2', '3']) await post(client, id);
    const tokens: string[] = [];
    const first = connect(t, {
      client,
      // Never done with the second.
      onEvent: ({ token }) => tokens.push(token) === 2 && new Promise(() => {}),
    });
    await eventually(() => assert.equal(tokens.length, 2));
    void first.connection.close();
    const taken = connect(t, { client, after: tokens[1] });
    // In this process the first one holds the client.
    await eventually(() => assert.equal(taken.connection.state.name, 'standby'));
    const { ended } = await takeOver(client);
    assert.equal((await first.connection.closed)?.problem.code, 'taken-over');
    await ended;
    await eventually(() => assert.deepEqual(requestIds(taken.events), ['3']));
  });

  it('loses nothing, gets nothing twice and keeps the order when its link breaks, also to the other instance', async (t) => {
    const proxy = await startTcpProxy({ target: web.baseUrl });
    t.after(() => proxy.close());
    const { askAll, client, events, isConnected } = connect(t, { url: `http://127.0.0.1:${proxy.port}` });
    await isConnected();
    const asked = askAll(300);
    let resets = 0;
    const ids = numbers(20).map((id) => `posted ${id}`);
    for (const [index, id] of ids.entries()) {
      await post(client, id);
      if (index % 7 !== 3) continue;
      await isConnected(resets + 1);
      proxy.retarget(index % 2 ? otherWeb.baseUrl : web.baseUrl);
      proxy.reset();
      resets += 1;
    }
    assert.deepEqual(await asked, numbers(300));
    await isConnected(resets + 1);
    assert.equal(resets, 3);
    await eventually(() => assert.equal(events.length, ids.length));
    assert.deepEqual(requestIds(events), ids);
  });

  it('is found to be lost on the way: requests are answered over the next link', async (t) => {
    const proxy = await startTcpProxy({ target: web.baseUrl });
    t.after(() => proxy.close());
    const { askAll, isConnected } = connect(t, { url: `http://127.0.0.1:${proxy.port}` });
    await isConnected();
    // What is sent now never arrives.
    proxy.setFault({ drop: 'to-server' });
    const asked = askAll(10);
    proxy.reset();
    proxy.setFault({});
    assert.deepEqual(await asked, numbers(10));
  });

  it('does without WebSockets where a proxy lets none through', async (t) => {
    const url = await startOldProxy(t, web.baseUrl);
    const proxy = await startTcpProxy({ target: url });
    t.after(() => proxy.close());
    const { connection, client, askAll, events, isConnected } = connect(t, {
      url: `http://127.0.0.1:${proxy.port}`,
    });
    const connected = await isConnected();
    assert.deepEqual(connected, { name: 'connected', via: 'event-stream' });
    await assert.rejects(connection.request('NobodyTakesThis'), isOf('unroutable'));
    const asked = askAll(5);
    const ids = ['1', '2', '3'];
    for (const id of ids) await post(client, id);
    proxy.reset();
    assert.deepEqual(
      (await asked).toSorted((one, other) => one - other),
      numbers(5),
    );
    await eventually(() => assert.deepEqual(requestIds(events), ids));
    await connection.close();
    const again = connect(t, { client });
    await again.askAll(1);
    assert.deepEqual(again.events, []);
  });

  it('ends by what onEvent fails by, and what that was given comes again', async (t) => {
    const client = randomUUID();
    for (const id of ['1', '2']) await post(client, id);
    const given: MailboxEvent[] = [];
    const { connection } = connect(t, {
      client,
      onEvent(event) {
        given.push(event);
        if (event.requestid === '2') throw new Error('no');
      },
    });
    const failure = await connection.closed;
    assert.ok(failure instanceof ConnectionFailed);
    assert.deepEqual([failure.problem.code, (failure.cause as Error).message], ['event-failed', 'no']);
    assert.deepEqual(requestIds(given), ['1', '2']);
    await assert.rejects(connection.request('PingRequest'), isOf('not-accepted'));
    const { events } = connect(t, { client, after: given[0]?.token });
    await eventually(() => assert.deepEqual(requestIds(events), ['2']));
  });

  it('tells of what is gone', async (t) => {
    const { events, askAll } = connect(t, { after: 'anotherepoch.7' });
    await askAll(3);
    const [gap, ...others] = events;
    assert.equal(gap?.type, 'waybill.Gap');
    assert.match(JSON.stringify(gap?.data), /"from":"anotherepoch.7"/);
    assert.deepEqual(others, []);
  });

  it('waits while another one here holds its client, and then gets what that has not acknowledged', async (t) => {
    const first = connect(t);
    await first.isConnected();
    const second = connect(t, { client: first.client });
    await eventually(() => assert.equal(second.connection.state.name, 'standby'));
    const asked = second.askAll(3);
    assert.deepEqual(await first.askAll(3), numbers(3));
    await first.connection.close();
    assert.deepEqual(await asked, numbers(3));
    assert.deepEqual(second.events, []);
  });

  it('is refused for good with what is wrong', async (t) => {
    for (const [options, code] of [
      [{ client: 'no id!' }, 'invalid-request'],
      [{ after: 'no token' }, 'invalid-request'],
      [{ apiKey: 'wrong' }, 'unauthorized'],
    ] as const) {
      const { connection } = connect(t, options);
      const asked = connection.request('PingRequest');
      assert.equal((await connection.closed)?.problem.code, code);
      await assert.rejects(asked, isOf('not-accepted'));
    }
  });

  it('opens by tickets that somebody else gets', async (t) => {
    let tickets = 0;
    const ticket = async () => {
      tickets += 1;
      return newTicket();
    };
    const { askAll } = connect(t, { apiKey: '', ticket });
    assert.deepEqual(await askAll(3), numbers(3));
    assert.equal(tickets, 1);
  });

  it('gives up a request when its time is over, or its signal says so', async (t) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { connection } = connect(t, { url });
    const failure = await connection.request('PingRequest', {}, { timeoutMs: 100 }).catch((error) => error);
    assert.deepEqual([failure.problem.code, failure.hasNotRun], ['not-accepted', true]);
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(connection.request('PingRequest', {}, { signal }), { message: 'enough' });
    const [one, other] = [1, 2].map(() =>
      connection.request('PingRequest', {}, { id: 'same', timeoutMs: 100 }),
    );
    await assert.rejects(other as Promise<unknown>, TypeError);
    await assert.rejects(one as Promise<unknown>, RequestFailed);
  });

  it('goes to another instance when its own stops, and drains when it is closed', async (t) => {
    const proxy = await startTcpProxy({ target: web.baseUrl });
    t.after(() => proxy.close());
    const { connection, askAll, events, isConnected } = connect(t, {
      url: `http://127.0.0.1:${proxy.port}`,
    });
    await isConnected();
    const asked = askAll(200);
    proxy.retarget(otherWeb.baseUrl);
    system.publicWebs.splice(system.publicWebs.indexOf(web), 1);
    const stopped = web.stop();
    const closed = connection.close();
    assert.deepEqual(await asked, numbers(200));
    await closed;
    assert.deepEqual(events, []);
    assert.equal((await stopped).code, 0);
  });

  async function newTicket(): Promise<string> {
    const headers = { authorization: `Bearer ${KEY}` };
    const response = await fetch(`${web.baseUrl}/tickets`, { method: 'POST', headers });
    return ((await response.json()) as { ticket: string }).ticket;
  }

  /** Connects as the client once more, by itself; resolves when it is there, and `ended` when somebody else has taken over. */
  async function takeOver(client: string) {
    const socket = new WebSocket(
      `ws://127.0.0.1:${web.port}/ws?client=${client}&acks=client&ticket=${await newTicket()}`,
      'cloudevents.json',
    );
    const ended = once(socket, 'close');
    await once(socket, 'open');
    return { ended };
  }
});

const isOf = (code: string) => (error: unknown) =>
  error instanceof RequestFailed && error.problem.code === code;

/** A proxy that knows nothing of WebSockets. */
async function startOldProxy(t: TestContext, target: string): Promise<string> {
  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { method, url = '/', headers } = incoming;
    const { connection: _, upgrade: __, ...rest } = headers;
    const forwarded = request(new URL(url, target), { method, headers: rest }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
      answer.on('error', () => outgoing.destroy());
    });
    forwarded.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
