import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { WebSocket } from 'ws';
import {
  confirmAll,
  deliver,
  pong,
  pongAll,
  startPublicWeb,
  usePublicWeb,
} from '../../public-web.fixture.ts';

const { dispatcher, publicWeb: web } = await usePublicWeb({ env: { MAX_PARKED: '2000' } });

type Client = { socket: WebSocket; answers: CloudEvent[]; send(event: object): void };

/** A client that is connected, and collects its answers. */
async function open(
  t: TestContext,
  {
    service = web,
    path = '/ws',
    headers = {},
  }: { service?: Service; path?: string; headers?: Record<string, string> } = {},
): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${service.port}${path}`, 'cloudevents.json', { headers });
  t.after(() => socket.terminate());
  const answers: CloudEvent[] = [];
  socket.on('message', (data) => answers.push(JSON.parse(String(data))));
  await once(socket, 'open');
  return { socket, answers, send: (event) => socket.send(JSON.stringify(event)) };
}

const ping = (id: string, data: unknown = {}) => ({
  specversion: '1.0',
  id,
  source: '/client',
  type: 'PingRequest',
  data,
});

/** One message, in more pieces than are taken. */
function sendInPieces(socket: WebSocket): void {
  for (let piece = 0; piece < 1_025; piece++) socket.send(' ', { fin: piece === 1_024 });
}

/** Status and problem of a handshake that is refused. */
async function refusal(
  headers: Record<string, string>,
  { service = web, path = '/ws' } = {},
): Promise<{ status: number; code: string }> {
  const socket = connect(service.port as number, '127.0.0.1');
  const all = {
    host: 'localhost',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    'sec-websocket-protocol': 'cloudevents.json',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  const answer = await text(socket);
  return {
    status: Number(answer.slice(9, 12)),
    code: answer.includes('{') ? JSON.parse(answer.slice(answer.indexOf('{'))).code : '',
  };
}

describe('a WebSocket', () => {
  it('answers each of many events at once, named by requestid', async (t) => {
    const { answers, send } = await open(t);
    const ids = Array.from({ length: 200 }, (_, index) => `e${index}`);
    for (const id of ids) send(ping(id, { sentAt: 1 }));
    await eventually(() => assert.equal(answers.length, ids.length));
    assert.deepEqual(answers.map(({ requestid }) => String(requestid)).sort(), [...ids].sort());
    const [{ specversion, type, data, correlationid, replyto } = {} as CloudEvent] = answers;
    assert.deepEqual(
      { specversion, type, data, correlationid, replyto },
      {
        specversion: '1.0',
        type: 'PingResponse',
        data: { sentAt: 1, receivedAt: 2 },
        correlationid: undefined,
        replyto: undefined,
      },
    );
  });

  it('gives each answer as it comes, not in the order of the events', async (t) => {
    const held: CloudEvent[] = [];
    dispatcher.onBatch = async (events, response) => {
      confirmAll(events, response);
      held.push(...events);
      if (held.length === 2) for (const event of held.toReversed()) await deliver([pong(event)]);
    };
    const { answers, send } = await open(t);
    send(ping('first'));
    await eventually(() => assert.equal(held.length, 1));
    send(ping('second'));
    await eventually(() => assert.equal(answers.length, 2));
    assert.deepEqual(
      answers.map(({ requestid }) => requestid),
      ['second', 'first'],
    );
  });

  it('answers what is no event, or may not be sent, by a problem, and goes on', async (t) => {
    const { socket, answers, send } = await open(t);
    socket.send('{');
    socket.send('[]');
    send({ ...ping('no source'), source: undefined });
    send({ ...ping('not public'), type: 'Internal' });
    send(ping('fine'));
    await eventually(() => assert.equal(answers.length, 5));
    const codes = answers.map(({ type, requestid, data }) => [
      type,
      requestid,
      (data as { code?: string }).code,
    ]);
    for (const expected of [
      ['waybill.Problem', undefined, 'invalid-request'],
      ['waybill.Problem', 'not public', 'unroutable'],
      ['PingResponse', 'fine', undefined],
    ])
      assert.ok(
        codes.some((each) => JSON.stringify(each) === JSON.stringify(expected)),
        JSON.stringify(codes),
      );
  });

  it('is closed for a message that is binary, over 256 kB or in too many pieces, and says so', async (t) => {
    for (const [send, code, reason] of [
      [(socket: WebSocket) => socket.send(Buffer.from('{}')), 1003, 'events are text messages'],
      [
        (socket: WebSocket) => socket.send('x'.repeat(256 * 1024 + 1)),
        1009,
        'a message has 262144 bytes at most',
      ],
      [sendInPieces, 1008, 'a message comes in 1024 pieces at most'],
    ] as const) {
      const { socket } = await open(t);
      send(socket);
      const [closed, said] = await once(socket, 'close');
      assert.deepEqual([closed, String(said)], [code, reason]);
    }
  });

  it('reads no more than 256 events ahead of their answers, and the rest as these come', async (t) => {
    const events: CloudEvent[] = [];
    dispatcher.onBatch = (batch, response) => {
      confirmAll(batch, response);
      events.push(...batch);
    };
    const { answers, send } = await open(t);
    for (let index = 0; index < 600; index++) send(ping(`e${index}`));
    await eventually(() => assert.equal(events.length, 256));
    // A request of another client comes through behind them, so nothing more of these was on its way.
    const other = fetch(`${web.baseUrl}/ping`).then((response) => response.status);
    await eventually(() => assert.equal(events.length, 257));
    assert.equal(events.filter(({ id }) => /^e\d+$/.test(id)).length, 256);
    dispatcher.onBatch = pongAll;
    for (const event of events) await deliver([pong(event)]);
    assert.equal(await other, 200);
    await eventually(() => assert.equal(answers.length, 600));
  });

  it('does not send an event whose client has gone, and tells nobody', async (t) => {
    const { promise, resolve } = Promise.withResolvers<CloudEvent>();
    dispatcher.onBatch = (events, response) => {
      confirmAll(events, response);
      resolve(events[0] as CloudEvent);
    };
    const { socket, send } = await open(t);
    send(ping('gone'));
    const event = await promise;
    socket.terminate();
    await eventually(async () => assert.equal((await deliver([pong(event)])).length, 1));
  });
});

describe('the handshake', () => {
  it('needs the subprotocol cloudevents.json', async () => {
    assert.deepEqual(await refusal({ 'sec-websocket-protocol': 'mqtt, graphql-ws' }), {
      status: 400,
      code: 'invalid-request',
    });
  });

  it('with a client id needs a store', async () => {
    assert.deepEqual(await refusal({}, { path: '/ws?client=me' }), { status: 501, code: 'no-store' });
  });

  it('is refused to pages of other origins, and to other host names', async () => {
    assert.deepEqual(await refusal({ origin: 'https://evil.example' }), { status: 403, code: 'forbidden' });
    assert.deepEqual(await refusal({ host: 'evil.example' }), { status: 421, code: 'misdirected' });
  });

  it('is for /ws alone: other paths are served by HTTP/1.1, whatever they offer', async () => {
    const { status } = await refusal({ connection: 'close, Upgrade' }, { path: '/ping' });
    assert.equal(status, 200);
    // As curl --http2 asks.
    const socket = connect(web.port as number, '127.0.0.1');
    const body = '{"type":"PingRequest"}';
    socket.write(
      `POST /events HTTP/1.1\r\nhost: localhost\r\nconnection: close, Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    assert.match(await text(socket), /^HTTP\/1\.1 200 .*PingResponse/s);
  });
});

describe('strangers', () => {
  const upgrade =
    'GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
    'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

  it('who ask for a WebSocket behind a request that is not answered yet are cut off, and harm nobody', async () => {
    const socket = connect(web.port as number, '127.0.0.1');
    socket.write(`GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\n${upgrade}`);
    await text(socket).catch(() => {});
    assert.equal((await fetch(`${web.baseUrl}/ping`)).status, 200);
  });

  it('who are refused are told so, whatever they send behind, and their connection is closed', async () => {
    const socket = connect(web.port as number, '127.0.0.1');
    socket.write(`${upgrade}more that nobody reads`);
    const closed = once(socket, 'close');
    assert.match(await text(socket), /^HTTP\/1\.1 400 /);
    await closed;
    assert.equal((await fetch(`${web.baseUrl}/ping`)).status, 200);
  });
});

describe('with API keys', () => {
  const KEY = 'wb_a-key-of-this-test-alone-0123456789abcdef';
  let guarded: Service;
  before(async () => {
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256').update(KEY).digest('hex');
    guarded = await startPublicWeb([dispatcher], {
      API_KEYS: JSON.stringify([{ id: 'shop', hash: `sha256:${hash}`, rate: 5, burst: 5 }]),
    });
  });
  after(() => guarded.stop());

  it('needs one, in a header or as a ticket, which opens one connection', async (t) => {
    assert.deepEqual(await refusal({}, { service: guarded }), { status: 401, code: 'unauthorized' });
    const headers = { authorization: `Bearer ${KEY}` };
    const response = await fetch(`${guarded.baseUrl}/tickets`, { method: 'POST', headers });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    const { ticket } = (await response.json()) as { ticket: string };
    const path = `/ws?ticket=${ticket}`;
    const { answers, send } = await open(t, { service: guarded, path });
    send(ping('by ticket'));
    await eventually(() => assert.equal(answers.length, 1));
    for (const wrong of [path, '/ws?ticket=', '/ws?ticket=a.b', `/ws?ticket=a.%C3%A9${'a'.repeat(41)}`])
      assert.deepEqual(await refusal({}, { service: guarded, path: wrong }), {
        status: 401,
        code: 'unauthorized',
      });
  });

  it('is slowed down to its rate, and answered in full', async (t) => {
    const headers = { 'x-api-key': KEY };
    const { answers, send } = await open(t, { service: guarded, headers });
    for (let index = 0; index < 8; index++) send(ping(`e${index}`));
    await eventually(() => assert.equal(answers.length, 8));
    assert.ok(answers.every(({ type }) => type === 'PingResponse'));
  });
});

it('a stopping instance answers what it has read, and closes with 1012', async (t) => {
  const { promise, resolve } = Promise.withResolvers<CloudEvent>();
  dispatcher.onBatch = (events, response) => {
    confirmAll(events, response);
    resolve(events[0] as CloudEvent);
  };
  const service = await startPublicWeb([dispatcher]);
  t.after(() => service.stop());
  const { socket, answers, send } = await open(t, { service });
  send(ping('under way'));
  const event = await promise;
  const stopped = service.stop();
  await eventually(async () =>
    assert.equal(
      await fetch(service.baseUrl).then(
        () => 'open',
        () => 'closed',
      ),
      'closed',
    ),
  );
  await deliver([pong(event)]);
  const [code] = await once(socket, 'close');
  assert.equal(code, 1012);
  assert.equal(answers[0]?.requestid, 'under way');
  await stopped;
});
