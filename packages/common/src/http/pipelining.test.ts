import assert from 'node:assert/strict';
import { EventEmitter, on, once } from 'node:events';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { FastifyReply } from 'fastify';
import { get, nextAnswer, serve } from './http-server.fixture.ts';

/** A server whose `/` is answered by the test, and a connection to it. `next()` has the reply to the request that comes next. */
async function parking(t: TestContext) {
  const parked = new EventEmitter();
  const requests = on(parked, 'request');
  let count = 0;
  const { open } = await serve(t, {
    routes: (app) =>
      app.all('/', (_request, reply) => {
        count += 1;
        parked.emit('request', reply);
      }),
  });
  // In a list, as a reply is thenable.
  const next = async (): Promise<[FastifyReply]> => (await requests.next()).value as [FastifyReply];
  return { socket: await open(), next, count: () => count };
}

test('a half-closed client gets its answers whole, one after the other', async (t) => {
  const { socket, next } = await parking(t);
  const probed = once(socket, 'data');
  const answered = text(socket);
  socket.end(get('/') + get('/'));
  const [[first], [second]] = [await next(), await next()];
  await probed;
  second.send(Buffer.from('two'));
  await eventually(async () => assert.ok(second.raw.headersSent));
  first.send(Buffer.from('one'));
  assert.match(
    await answered,
    /^(HTTP\/1.1 100 Continue\r\n\r\n)+HTTP\/1.1 200 .*\r\n\r\noneHTTP\/1.1 200 OK\r\n(?!HTTP)([^\r]+\r\n)+\r\ntwo$/s,
  );
});

test('who asks to be told to go on is told so when the answer before is out', async (t) => {
  const { socket, next } = await parking(t);
  socket.write(get('/') + get('/').replace('\r\n\r\n', '\r\nexpect: 100-continue\r\n\r\n'));
  const [[first], [second]] = [await next(), await next()];
  const answered = nextAnswer(socket);
  first.send(Buffer.from('one'));
  let all = await answered;
  socket.on('data', (data) => {
    all += data;
  });
  await eventually(async () => assert.match(all, /one.*100 Continue\r\n\r\n$/s));
  second.send(Buffer.from('two'));
  await eventually(async () => assert.match(all, /100 Continue\r\n\r\nHTTP\/1.1 200 .*\r\n\r\ntwo$/s));
});

test('who asks to be told to go on, and is answered before it is its turn, is not told so', async (t) => {
  const { socket, next } = await parking(t);
  const closing = '\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n';
  socket.write(get('/') + get('/').replace('\r\n\r\n', closing));
  const [[first], [second]] = [await next(), await next()];
  const answered = text(socket);
  second.send(Buffer.from('two'));
  await eventually(async () => assert.ok(second.raw.headersSent));
  first.send(Buffer.from('one'));
  assert.match(await answered, /oneHTTP\/1.1 200 OK\r\n(?!HTTP)([^\r]+\r\n)+\r\ntwo$/);
});

test('a request behind an answer that closes its connection is not run', async (t) => {
  const { socket, count } = await parking(t);
  socket.resume();
  const answered = once(socket, 'data');
  socket.write(`GET / HTTP/1.1\r\nx: no host\r\n\r\n${get('/')}`);
  await answered;
  socket.end(get('/'));
  await once(socket, 'close');
  assert.equal(count(), 0);
});

for (const malformed of [
  'GARBAGE\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\n',
])
  test(`${JSON.stringify(malformed)} is answered behind the request before it`, async (t) => {
    const { socket, next } = await parking(t);
    const answered = text(socket);
    socket.write(get('/') + malformed);
    const [first] = await next();
    first.send('one');
    assert.match(await answered, /^HTTP\/1.1 200 .*oneHTTP\/1.1 400 .*}$/s);
  });
