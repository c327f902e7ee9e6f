/** Mailboxes by every way in of the HTTP port. The test plays the dispatcher: it appends to the store, and pushes. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { Page } from '@waybill/common/internal-call/store-calls.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import type { OnBatch } from '@waybill/test-harness/stand-in.ts';
import { WebSocket } from 'ws';
import {
  answer,
  append,
  confirmAll,
  type Dispatcher,
  pong,
  postSigned,
  push,
  startDispatcher,
  startPublicWeb,
  startStore,
} from '../public-web.fixture.ts';

const KEYS = ['mine', 'theirs'];
const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const ids = (count: number) => Array.from({ length: count }, (_, index) => String(index));

/** What a client is told. */
type Told = CloudEvent & { token?: string; requestid?: string; data?: { code?: string } };

describe('the mailbox of a client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-clients-'));
  let store: Service;
  let dispatcher: Dispatcher;
  let web: Service;
  /** Confirms all, and has their replies appended and pushed. */
  const replyAll: OnBatch = async (events, response) => {
    answer(response);
    const replies = events.map((event) => pong(event)).reverse();
    // An instance that has gone is not told.
    await push(await append(store, replies), replies).catch(() => {});
  };
  before(async () => {
    [store, dispatcher] = await Promise.all([startStore(folder), startDispatcher()]);
    web = await startPublicWeb([dispatcher], {
      STORE_URLS: store.baseUrl,
      PUBLIC_EVENT_TYPES: 'PingRequest,Nobodys',
      API_KEYS: JSON.stringify(KEYS.map((id) => ({ id, hash: hashOf(id) }))),
    });
  });
  after(async () => {
    await web.stop();
    await dispatcher.close();
    await store.stop();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    dispatcher.batches.length = 0;
    dispatcher.onBatch = replyAll;
  });

  const newPing = (id: string, type = 'PingRequest') =>
    JSON.stringify({ specversion: '1.0', id, source: '/me', type, data: {} });
  const requestIds = (told: Told[]) => told.map(({ requestid }) => requestid);

  describe('by WebSocket', () => {
    async function open(t: TestContext, query: string, key = 'mine') {
      const headers = { 'x-api-key': key };
      const url = `ws://127.0.0.1:${web.port}/ws?${query}`;
      const socket = new WebSocket(url, 'cloudevents.json', { headers });
      t.after(() => socket.terminate());
      const told: Told[] = [];
      socket.on('message', (data) => told.push(JSON.parse(String(data))));
      const closed = new Promise<number>((resolve) => socket.once('close', resolve));
      await once(socket, 'open');
      const has = (count: number) =>
        eventually(() => assert.ok(told.length >= count, `${told.length} entries`));
      return { socket, told, closed, has };
    }

    it('has its results in the order of the events, and goes on behind its token', async (t) => {
      const name = randomUUID();
      const first = await open(t, `client=${name}`);
      for (const id of ids(50)) first.socket.send(newPing(id));
      await first.has(50);
      assert.deepEqual(requestIds(first.told), ids(50));
      const [{ type, correlationid, replyto, data } = {} as Told] = first.told;
      assert.deepEqual(
        [type, correlationid, replyto, data],
        ['PingResponse', undefined, undefined, { receivedAt: 2 }],
      );
      first.socket.close();
      await first.closed;
      const second = await open(t, `client=${name}&after=${first.told[49]?.token}`);
      second.socket.send(newPing('x'));
      await second.has(1);
      assert.deepEqual(requestIds(second.told), ['x']);
    });

    it('keeps what is not acknowledged, where the client does that by itself', async (t) => {
      const name = randomUUID();
      const first = await open(t, `client=${name}&acks=client`);
      for (const id of ids(3)) first.socket.send(newPing(id));
      await first.has(3);
      first.socket.send(JSON.stringify({ type: 'waybill.Ack', token: first.told[0]?.token }));
      // Behind the acknowledgement.
      first.socket.send(JSON.stringify({ type: 'waybill.Ack', token: 'nonsense' }));
      await first.has(4);
      assert.equal(first.told[3]?.data?.code, 'invalid-request');
      first.socket.close();
      await first.closed;
      await eventually(async () => {
        const again = await open(t, `client=${name}&acks=client`);
        await again.has(1);
        again.socket.close();
        await again.closed;
        assert.equal(again.told[0]?.requestid, '1');
      });
    });

    it('counts as acknowledged what the client has received, where it does not', async (t) => {
      const name = randomUUID();
      const first = await open(t, `client=${name}`);
      for (const id of ids(3)) first.socket.send(newPing(id));
      await first.has(3);
      await eventually(async () => {
        const response = await fetch(`${web.baseUrl}/clients/${name}/mailbox`, {
          headers: { 'x-api-key': 'mine' },
        });
        assert.deepEqual(await response.json(), []);
      });
    });

    it('is closed with 4001 when its client connects once more', async (t) => {
      const name = randomUUID();
      const first = await open(t, `client=${name}`);
      const second = await open(t, `client=${name}`);
      assert.equal(await first.closed, 4001);
      second.socket.send(newPing('a'));
      await second.has(1);
    });

    it('is another one for each API key', async (t) => {
      const name = randomUUID();
      const mine = await open(t, `client=${name}&acks=client`);
      mine.socket.send(newPing('a'));
      await mine.has(1);
      const theirs = await open(t, `client=${name}&after=${mine.told[0]?.token}`, 'theirs');
      await theirs.has(1);
      assert.equal(theirs.told[0]?.type, 'waybill.Gap');
      mine.socket.send(newPing('b'));
      await mine.has(2);
      assert.equal(theirs.told.length, 1);
    });

    it('tells what is no event, and what cannot be attached, and goes on', async (t) => {
      const client = await open(t, `client=${randomUUID()}`);
      client.socket.send('{"type":"waybill.Ack"');
      client.socket.send('nonsense');
      client.socket.send(newPing('a', 'Internal'));
      await client.has(3);
      assert.deepEqual(
        client.told.map(({ requestid, data }) => [requestid, data?.code]),
        [
          [undefined, 'invalid-request'],
          [undefined, 'invalid-request'],
          ['a', 'unroutable'],
        ],
      );
      for (const query of ['client=', 'client=a%20b', `client=${randomUUID()}&after=x`])
        await assert.rejects(open(t, query), /400/);
    });
  });

  describe('by Server-Sent Events', () => {
    /** Reads the stream until `isDone`, or its end; resolves with its text. */
    async function read(
      path: string,
      isDone: (text: string) => boolean,
      headers: Record<string, string> = {},
    ) {
      const abort = new AbortController();
      const all = { 'x-api-key': 'mine', ...headers };
      const response = await fetch(`${web.baseUrl}${path}`, { headers: all, signal: abort.signal });
      let text = '';
      if (response.body)
        for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
          text += chunk;
          if (isDone(text)) break;
        }
      abort.abort();
      return { response, text, events: eventsOf(text) };
    }

    /** The events of a stream, and their ids. */
    function eventsOf(text: string): { id: string; event: Told }[] {
      return [...text.matchAll(/^id: (.*)\ndata: (.*)\n\n/gm)].map(([, id = '', data = '']) => {
        return { id, event: JSON.parse(data) };
      });
    }

    const post = (name: string, id: string) =>
      fetch(`${web.baseUrl}/clients/${name}/events`, {
        method: 'POST',
        body: newPing(id),
        headers: { 'x-api-key': 'mine', 'content-type': 'application/cloudevents+json' },
      });

    it('is streamed, and goes on behind Last-Event-ID', async () => {
      const name = randomUUID();
      const path = `/clients/${name}/events`;
      for (const id of ids(3)) assert.equal((await post(name, id)).status, 202);
      const first = await read(path, (text) => eventsOf(text).length === 3);
      assert.equal(first.response.headers.get('content-type'), 'text/event-stream');
      assert.equal(first.response.headers.get('x-accel-buffering'), 'no');
      assert.deepEqual(requestIds(first.events.map(({ event }) => event)), ids(3));
      assert.equal(first.events[1]?.id, first.events[1]?.event.token);
      const rest = await read(path, (text) => eventsOf(text).length === 1, {
        'last-event-id': first.events[1]?.id ?? '',
      });
      assert.deepEqual(requestIds(rest.events.map(({ event }) => event)), ['2']);
    });

    it('ends after 200 entries for the client to come back, and nothing is lost by that', async (t) => {
      const name = randomUUID();
      const path = `/clients/${name}/events`;
      const socket = new WebSocket(
        `ws://127.0.0.1:${web.port}/ws?client=${name}&acks=client`,
        'cloudevents.json',
        {
          headers: { 'x-api-key': 'mine' },
        },
      );
      t.after(() => socket.terminate());
      await once(socket, 'open');
      for (const id of ids(250)) socket.send(newPing(id));
      let told = 0;
      socket.on('message', () => told++);
      await eventually(() => assert.equal(told, 250));
      const first = await read(path, () => false);
      assert.equal(first.events.length, 200);
      assert.match(first.text, /\n\nretry: 100\n\n$/);
      const rest = await read(path, (text) => eventsOf(text).length === 50, {
        'last-event-id': first.events.at(-1)?.id ?? '',
      });
      assert.deepEqual(requestIds([...first.events, ...rest.events].map(({ event }) => event)), ids(250));
    });

    it('takes a ticket in place of a key, and nobody without either', async () => {
      const tickets = await fetch(`${web.baseUrl}/tickets`, {
        method: 'POST',
        headers: { 'x-api-key': 'mine' },
      });
      const { ticket } = (await tickets.json()) as { ticket: string };
      const path = `${web.baseUrl}/clients/${randomUUID()}/events`;
      const response = await fetch(`${path}?ticket=${ticket}`);
      assert.equal(response.status, 200);
      await response.body?.cancel();
      assert.equal((await fetch(path)).status, 401);
    });
  });

  describe('by plain HTTP', () => {
    const call = (path: string, init: RequestInit = {}, key = 'mine') =>
      fetch(`${web.baseUrl}/clients/${path}`, { ...init, headers: { 'x-api-key': key, ...init.headers } });
    const post = (name: string, body: string, type = 'application/cloudevents+json') =>
      call(`${name}/events`, { method: 'POST', body, headers: { 'content-type': type } });
    const readAll = async (name: string, query = '', headers = {}) => {
      const response = await call(`${name}/mailbox${query}`, { headers });
      assert.equal(response.status, 200);
      return (await response.json()) as Told[];
    };

    it('has the results of events that were posted, as soon as they come, until they are acknowledged', async () => {
      const name = randomUUID();
      const accepted = await post(name, newPing('a'));
      assert.equal(accepted.status, 202);
      assert.equal(accepted.headers.get('location'), `/clients/${name}/mailbox`);
      const [first] = await readAll(name, '', { prefer: 'wait=20' });
      assert.deepEqual([first?.type, first?.requestid], ['PingResponse', 'a']);
      assert.equal((await readAll(name)).length, 1);
      assert.deepEqual(await readAll(name, `?after=${first?.token}`), []);
      assert.deepEqual(await readAll(name), []);
      const waiting = readAll(name, '', { prefer: 'wait=20' });
      await post(name, newPing('b'));
      assert.deepEqual(requestIds(await waiting), ['b']);
    });

    it('holds nothing of an event that is refused', async () => {
      const name = randomUUID();
      dispatcher.onBatch = ([event], response) => answer(response, { unroutable: [event?.correlationid] });
      const refused = await post(name, newPing('a', 'Nobodys'));
      assert.equal(refused.status, 404);
      assert.equal(((await refused.json()) as { code: string }).code, 'unroutable');
      assert.equal((await post(name, newPing('b', 'Internal'))).status, 404);
      assert.equal((await post(name, `[${newPing('c')}]`, 'application/cloudevents-batch+json')).status, 415);
      dispatcher.onBatch = replyAll;
      await post(name, newPing('d'));
      assert.deepEqual(requestIds(await readAll(name, '', { prefer: 'wait=20' })), ['d']);
    });

    it('is read by nobody with another key, and says what there is not', async () => {
      const name = randomUUID();
      await post(name, newPing('a'));
      await readAll(name, '', { prefer: 'wait=20' });
      assert.equal((await call(`${name}/mailbox`, {}, 'theirs')).status, 404);
      assert.equal((await call(`${name}/mailbox`, {}, 'wrong')).status, 401);
      assert.equal((await call(`${randomUUID()}/mailbox`)).status, 404);
      assert.equal((await call(`${name}/mailbox?after=x`)).status, 400);
      assert.equal((await call('a%20b/mailbox')).status, 400);
    });
  });

  it('is left, with a word where to go on, by an instance that stops', async (t) => {
    const name = randomUUID();
    const headers = { 'x-api-key': 'mine' };
    dispatcher.onBatch = confirmAll;
    const socket = new WebSocket(`ws://127.0.0.1:${web.port}/ws?client=${name}`, 'cloudevents.json', {
      headers,
    });
    t.after(() => socket.terminate());
    await once(socket, 'open');
    socket.send(newPing('a'));
    const [event] = await dispatcher.batch(0);
    const stream = await fetch(`${web.baseUrl}/clients/${randomUUID()}/events`, { headers });
    const closed = once(socket, 'close');
    const text = stream.text();
    // What a client waits for it can wait for elsewhere.
    const poller = randomUUID();
    await fetch(`${web.baseUrl}/clients/${poller}/events`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/cloudevents+json' },
      body: newPing('b'),
    });
    const poll = fetch(`${web.baseUrl}/clients/${poller}/mailbox`, {
      headers: { ...headers, prefer: 'wait=20' },
    });
    const exit = await web.stop();
    assert.deepEqual(await (await poll).json(), []);
    assert.equal((await closed)[0], 1012);
    assert.match(await text, /retry: \d+\n\n$/);
    assert.equal(exit.code, 0);
    await append(store, [pong(event as CloudEvent)]);
    const response = await postSigned(`${store.baseUrl}/calls`, {
      call: 'read',
      owner: 'mine',
      client: name,
    });
    const { entries } = (await response.json()) as Page;
    assert.deepEqual(
      entries.map(({ event }) => event.id),
      ['reply to a'],
    );
  });
});
