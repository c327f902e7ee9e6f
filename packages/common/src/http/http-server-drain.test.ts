import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { isNotSent } from '@waybill/test-harness/not-sent.ts';
import { Client } from 'undici';
import { get, nextAnswer, serve } from './http-server.fixture.ts';
import { drainHttpServer } from './http-server.ts';

type Server = Awaited<ReturnType<typeof setUp>>;

/** A server with work that ends at once, after some milliseconds, and when told. */
async function setUp(t: TestContext) {
  const { promise: told, resolve: release } = Promise.withResolvers<void>();
  const { promise: closing, resolve: isClosing } = Promise.withResolvers<void>();
  const server = await serve(t, {
    routes(app) {
      app.addHook('preClose', async () => isClosing());
      app.get('/', async () => 'at once');
      app.get('/told', () => told.then(() => 'told'));
      app.get<{ Params: { ms: string } }>('/after/:ms', ({ params }, reply) => {
        setTimeout(() => reply.send('done'), Number(params.ms));
      });
    },
  });
  return { ...server, release, closing };
}

test('under load every request is answered, or refused at connect', async (t) => {
  const { app, url } = await setUp(t);
  const { promise: hot, resolve: isHot } = Promise.withResolvers<void>();
  let answered = 0;

  /** Requests one after the other on one connection, until a new one is refused. */
  async function hammer(_: unknown, index: number): Promise<void> {
    const client = new Client(url, { keepAliveTimeout: 60_000 });
    t.after(() => client.destroy());
    for (let count = 0; ; count++) {
      try {
        const path = index % 2 === 0 ? '/' : `/after/${(index * count) % 5}`;
        const { statusCode, body } = await client.request({ method: 'GET', path });
        await body.dump();
        assert.equal(statusCode, 200);
      } catch (error) {
        assert.ok(isNotSent(error), error as Error);
        return;
      }
      answered++;
      if (answered === 500) isHot();
    }
  }

  const load = Promise.all(Array.from({ length: 16 }, hammer));
  await Promise.race([hot, load]);
  const before = answered;
  await drainHttpServer(app);
  await load;
  assert(before >= 500 && answered > before, `${before} before, ${answered - before} while draining`);
});

test('a request that comes on an idle connection while draining is answered, and the last on it', async (t) => {
  const { app, open } = await setUp(t);
  const socket = await open();
  const first = nextAnswer(socket);
  socket.write(get('/'));
  assert.match(await first, /^HTTP\/1.1 200 .*connection: keep-alive/is);

  const drained = drainHttpServer(app, { idleMs: 60_000 });
  await eventually(() => assert.equal(app.server.listening, false));
  const second = nextAnswer(socket);
  socket.write(get('/'));
  assert.match(await second, /^HTTP\/1.1 200 .*connection: close.*at once$/is);
  await Promise.all([once(socket, 'close'), drained]);
});

test('the answer to a request under way closes its connection, however long it takes', async (t) => {
  const { app, open, release, closing } = await setUp(t);
  const socket = await open();
  const answered = nextAnswer(socket);
  const received = once(app.server, 'request');
  socket.write(get('/told'));
  await received;

  const drained = drainHttpServer(app, { idleMs: 1 });
  await eventually(() => assert.rejects(open(), { code: 'ECONNREFUSED' }));
  // Closing looks for idle connections once, and never again.
  await closing;
  await nextTurn();
  release();
  assert.match(await answered, /^HTTP\/1.1 200 .*connection: close.*told$/is);
  await Promise.all([once(socket, 'close'), drained]);
});

test('connections that stay idle are closed, also those that never sent anything', async (t) => {
  const { app, open } = await setUp(t);
  const [silent, idle] = await Promise.all([open(), open()]);
  const answered = nextAnswer(idle);
  idle.write(get('/'));
  await answered;
  const closed = Promise.all([once(silent, 'close'), once(idle, 'close')]);
  await drainHttpServer(app, { idleMs: 1 });
  await closed;
});

test('what is idle stays open while requests come on other connections', async (t) => {
  const { app, open } = await setUp(t);
  const sockets = await Promise.all(Array.from({ length: 5 }, open));
  const closed = new Map(sockets.map((socket) => [socket, once(socket, 'close').then(() => 'closed')]));
  const [IDLE_MS, EACH_MS] = [1_000, 300];
  const drained = drainHttpServer(app, { idleMs: IDLE_MS });
  await eventually(() => assert.equal(app.server.listening, false));
  // Together longer than one may be idle.
  for (const socket of sockets) {
    const answered = Promise.race([nextAnswer(socket), closed.get(socket)]);
    socket.write(get(`/after/${EACH_MS}`));
    assert.match(String(await answered), /^HTTP\/1.1 200 .*connection: close.*done$/is);
  }
  await drained;
});

test('what is idle is closed in time for the deadline although requests go on coming', async (t) => {
  const { app, open } = await setUp(t);
  const sockets = await Promise.all(Array.from({ length: 40 }, open));
  const [IDLE_MS, DEADLINE_MS, EACH_MS] = [400, 800, 50];
  const drained = drainHttpServer(app, { idleMs: IDLE_MS, deadlineMs: DEADLINE_MS });
  await eventually(() => assert.equal(app.server.listening, false));
  let answered = 0;
  // All would take longer than the deadline.
  for (const socket of sockets) {
    // It may have been closed long ago, or be at this moment: then writing is what fails.
    if (socket.closed) break;
    const isAnswered = Promise.race([
      nextAnswer(socket).then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.write(get(`/after/${EACH_MS}`));
    if (!(await isAnswered)) break;
    answered += 1;
  }
  await drained;
  assert.ok(answered > 0 && answered < sockets.length, `${answered} answered`);
});

test('a request of which only half arrived is cut off at the deadline', async (t) => {
  const { app, open } = await setUp(t);
  const connected = once(app.server, 'connection');
  const half = await open();
  const [socket] = (await connected) as [Socket];
  half.write('GET / HTTP/1.1\r\nho');
  await eventually(() => assert(socket.bytesRead > 0));
  const closed = once(half, 'close');
  await drainHttpServer(app, { idleMs: 1, deadlineMs: 1 });
  await closed;
});

test('connections that nobody has accepted yet are served', async (t) => {
  await assertAllServed(t, await setUp(t), 20);
});

test('connections are accepted although the process is slow to do so', async (t) => {
  const server = await setUp(t);
  const EACH_MS = 10;
  server.app.server.on('connection', () => {
    const untilMs = performance.now() + EACH_MS;
    while (performance.now() < untilMs);
  });
  // In all longer than half a second, and shorter than half of the drain.
  await assertAllServed(t, server, 80);
});

/** Asserts that the first requests of so many clients are answered, who connect just before the server stops. */
async function assertAllServed(t: TestContext, { app, url }: Server, count: number): Promise<void> {
  const clients = Array.from({ length: count }, () => new Client(url));
  t.after(() => clients.map((client) => client.destroy()));
  const answers = clients.map((client) => client.request({ method: 'GET', path: '/' }));
  // They connect in this turn, and the server learns of it in a later one.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  await drainHttpServer(app);
  for (const { statusCode, body } of await Promise.all(answers)) {
    await body.dump();
    assert.equal(statusCode, 200);
  }
}

test('a request that came while the process had no processor is answered, though its connection was idle too long', async (t) => {
  const { app, open } = await setUp(t);
  const socket = await open();
  const IDLE_MS = 200;
  const drained = drainHttpServer(app, { idleMs: IDLE_MS });
  await eventually(() => assert.equal(app.server.listening, false));
  const answered = nextAnswer(socket);
  socket.write(get('/'));
  const untilMs = performance.now() + IDLE_MS;
  while (performance.now() < untilMs);
  assert.match(await answered, /at once$/);
  await drained;
});

test('no answer closes its connection while clients could still make another', async (t) => {
  const { promise: draining, resolve: drain } = Promise.withResolvers<Promise<void>>();
  let isDraining = false;
  const answers: { isListening: boolean; connection: unknown }[] = [];
  const { url } = await serve(t, {
    routes(app) {
      app.addHook('onSend', async (_request, reply) => {
        answers.push({ isListening: app.server.listening, connection: reply.getHeader('connection') });
      });
      app.get('/', async () => {
        if (!isDraining) drain(drainHttpServer(app));
        isDraining = true;
        return 'draining';
      });
    },
  });
  const clients = Array.from({ length: 20 }, () => new Client(url));
  t.after(() => clients.map((client) => client.destroy()));
  const requests = clients.map((client) => client.request({ method: 'GET', path: '/' }));
  for (const { body } of await Promise.all(requests)) await body.dump();
  await draining;
  assert.equal(answers.length, clients.length);
  assert.ok(answers.some(({ isListening }) => isListening));
  for (const { isListening, connection } of answers)
    assert.equal(connection, isListening ? undefined : 'close');
});

test('draining twice is harmless', async (t) => {
  const { app } = await setUp(t);
  await Promise.all([drainHttpServer(app), drainHttpServer(app)]);
  await drainHttpServer(app);
});
