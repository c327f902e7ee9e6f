import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { it, type TestContext } from 'node:test';
import { problemFor } from '@waybill/common/problem.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { pino } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import { anyCaller } from '../../admission/caller.fixture.ts';
import type { AnswerEvent } from '../../core/answer-event.ts';
import type { WaitingClient } from '../../core/ask.ts';
import { createHeldReplies } from '../../replies/held-replies.ts';
import { type Connection, serveWebSocket } from './connection.ts';

/** Both sides of a connection that is served, and what is held for it. */
async function connected(t: TestContext, answerEvent: AnswerEvent) {
  const held = createHeldReplies();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => server.close());
  await once(server, 'listening');
  const log = pino({ level: 'silent' });
  let connection: Connection | undefined;
  let served: WebSocket | undefined;
  server.on('connection', (socket) => {
    served = socket;
    connection = serveWebSocket(socket, { answerEvent, held, caller: anyCaller, log, deadlineMs: 1_000 });
  });
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    autoPong: false,
  });
  t.after(() => client.terminate());
  await once(client, 'open');
  await eventually(() => assert.ok(connection));
  return { client, server: served as WebSocket, connection: connection as Connection, held };
}

const event = (id: number) =>
  JSON.stringify({ specversion: '1.0', id: String(id), source: '/client', type: 'PingRequest' });

/** Resolves once `count` has begun, and does not grow any more. */
async function standsStill(count: () => number): Promise<void> {
  let before = 0;
  await eventually(
    () => {
      const last = before;
      before = count();
      assert.ok(before > 0 && before === last);
    },
    { intervalMs: 200 },
  );
}

it('reads no more of a client that does not read its answers, holds 4 MiB for it, and lets go of them with it', async (t) => {
  const data = 'x'.repeat(64 * 1024);
  let asked = 0;
  let refused = 0;
  const { client, held } = await connected(t, async (asking, { client: waiting }) => {
    asked++;
    if (!waiting.hold(data.length)) refused++;
    return { id: asking.id, reply: { ...asking, data } };
  });
  client.pause();
  for (let index = 0; index < 2_000; index++) client.send(event(index));
  await standsStill(() => asked);
  // What a system takes for a client that does not read is some MB; of all 2,000 answers it would be 128 MB.
  assert.ok(asked < 1_000, `${asked} were taken`);
  assert.ok(held.bytes() <= 4 * 1024 * 1024, `${held.bytes()} are held`);
  assert.equal(refused, 0);
  client.terminate();
  await eventually(() => assert.equal(held.bytes(), 0));
});

it('reads no more of a client that does not read its problems', async (t) => {
  let asked = 0;
  const { client, server } = await connected(t, async ({ id }) => {
    asked++;
    return { id, problem: problemFor('unroutable', 'x'.repeat(1_000)) };
  });
  client.pause();
  for (let index = 0; index < 30_000; index++) client.send(event(index));
  await standsStill(() => asked);
  assert.ok(asked < 20_000, `${asked} were answered`);
  // One that is being written is beyond the bound, and so are those whose answers were on their way.
  assert.ok(server.bufferedAmount < 1024 * 1024, `${server.bufferedAmount} bytes wait`);
});

it('closes at once when it is told to drain and owes nothing', async (t) => {
  const { client, connection } = await connected(t, async () => assert.fail());
  connection.drain();
  const [code] = await once(client, 'close');
  assert.equal(code, 1012);
});

it('keeps no reply that makes the unread ones more than 4 MiB', async (t) => {
  const waiting: WaitingClient[] = [];
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const { client } = await connected(t, async (asking, requester) => {
    if (waiting.push(requester.client) === 17) resolve();
    await new Promise(() => {});
    return { id: asking.id, reply: asking };
  });
  for (let index = 0; index < 17; index++) client.send(event(index));
  await all;
  const kept = waiting.map(({ hold }) => hold(256 * 1024));
  assert.deepEqual(
    kept,
    Array.from({ length: 17 }, (_, index) => index < 16),
  );
});

it('asks whether the client is there, and ends its connection when it has not answered since', async (t) => {
  const { client, connection } = await connected(t, async (asking) => ({ id: asking.id, reply: asking }));
  let pings = 0;
  client.on('ping', () => pings++);
  for (let round = 1; round <= 3; round++) {
    connection.check();
    await eventually(() => assert.equal(pings, round));
    client.pong();
    // An answer behind the pong says that this was read too.
    client.send(event(round));
    await once(client, 'message');
  }
  connection.check();
  connection.check();
  const [code] = await once(client, 'close');
  assert.equal(code, 1006);
});

it('gives the events of one connection an order among each other, and none with those of another', async (t) => {
  const series: unknown[] = [];
  const answer: AnswerEvent = async (asking, requester) => {
    series.push(requester.series);
    return { id: asking.id, reply: asking };
  };
  const one = await connected(t, answer);
  const other = await connected(t, answer);
  for (const { client } of [one, one, other]) {
    client.send(event(1));
    await once(client, 'message');
  }
  assert.deepEqual(
    series.map((each) => [one.server, other.server].indexOf(each as WebSocket)),
    [0, 0, 1],
  );
});
