import assert from 'node:assert/strict';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { DEFAULT_EVENT_BYTES } from '../batch-limits.ts';
import { serve } from './http-server.fixture.ts';

/** A server that answers with what it got. */
const echo = (t: TestContext) =>
  serve(t, { routes: (app) => app.post('/', async ({ body }, reply) => reply.send(body as Buffer)) });

const head = (framing: string, path = '/') =>
  `POST ${path} HTTP/1.1\r\nhost: test\r\ncontent-type: a/b\r\n${framing}\r\n\r\n`;
const CHUNKED = 'transfer-encoding: chunked';

/** A body of `count` chunks, all of `chunk`. */
const chunked = (chunk: string, count: number) =>
  `${chunk.length.toString(16)}\r\n${chunk}\r\n`.repeat(count);

test('a body in an absurd number of chunks is 400 before it has come, and its connection is closed', async (t) => {
  const { open } = await echo(t);
  const socket = await open();
  const answer = text(socket);
  socket.write(head(CHUNKED) + chunked('x', 2_000));
  assert.match(await answer, /^HTTP\/1\.1 400 .*connection: close.*too many chunks/s);
});

test('a small body may come byte by byte, and a large one in small chunks', async (t) => {
  const { url, open } = await echo(t);
  const bodies = [chunked('x', 1_000), chunked('0123456789abcdef', DEFAULT_EVENT_BYTES / 16)];
  for (const [index, body] of bodies.entries()) {
    const socket = await open();
    const answer = text(socket);
    socket.write(`${head(`connection: close\r\n${CHUNKED}`)}${body}0\r\n\r\n`);
    const sent = ['x'.repeat(1_000), '0123456789abcdef'.repeat(DEFAULT_EVENT_BYTES / 16)][index];
    assert.equal((await answer).split('\r\n\r\n')[1], sent, url);
  }
});

test('a body whose length is told may come as the network cuts it', async (t) => {
  const { open } = await echo(t);
  const socket = await open();
  socket.setNoDelay();
  const body = 'abcdefg'.repeat(400);
  const answer = text(socket);
  socket.write(head(`connection: close\r\ncontent-length: ${body.length}`));
  for (const letter of body) await new Promise((resolve) => socket.write(letter, resolve));
  assert.equal((await answer).split('\r\n\r\n')[1], body);
});

test('a body that comes whole holds no more than its bytes', async (t) => {
  const held: number[] = [];
  const { url } = await serve(t, {
    routes: (app) =>
      app.post('/', async ({ body }) => {
        held.push((body as Buffer).buffer.byteLength);
        return {};
      }),
  });
  for (const length of [1, 1_000, 10_000])
    assert.equal((await fetch(url, { method: 'POST', body: 'x'.repeat(length) })).status, 200);
  assert.deepEqual(held, [1, 1_000, 10_000]);
});

test('a body for no route is not read: 404 at once, and its connection is closed', async (t) => {
  const { open } = await echo(t);
  const socket = await open();
  const answer = text(socket);
  socket.write(head(CHUNKED, '/nothing') + chunked('x', 10));
  assert.match(await answer, /^HTTP\/1\.1 404 .*connection: close/s);
});

test('a body whose sender is gone halfway, also after its refusal, harms nobody', async (t) => {
  const { url, open } = await echo(t);
  for (const start of [chunked('x', 10), chunked('x', 2_000)]) {
    const socket = await open();
    socket.write(head(CHUNKED) + start);
    socket.resetAndDestroy();
    await once(socket, 'close');
  }
  assert.equal(await (await fetch(url, { method: 'POST', body: 'y' })).text(), 'y');
});
