import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Client, credentials, status } from '@grpc/grpc-js';
import { pino } from 'pino';
import type { DatasetServiceHandlers } from './generated/dataset_service/DatasetService.ts';
import { createGrpcServer } from './grpc-server.ts';
import { loadProto } from './proto.ts';

const SERVICE = 'dataset_service.DatasetService';
/** More than a caller that reads nothing lets through. */
const ANSWER_BYTES = 200_000;

type Options = Partial<Parameters<typeof createGrpcServer>[0]>;

/** A server whose GetBatch answers with 200 kB, and a connection to it. */
async function start(t: TestContext, options: Options = {}) {
  const answer = { data: Buffer.alloc(ANSWER_BYTES), batch_index: 0, is_last_batch: true };
  const GetBatch: DatasetServiceHandlers['GetBatch'] = (_call, callback) => callback(null, answer);
  const server = await createGrpcServer({
    services: [
      { definition: loadProto('dataset_service.proto'), name: SERVICE, implementation: { GetBatch } },
    ],
    host: '127.0.0.1',
    port: 0,
    isServing: () => true,
    maxReceiveBytes: 64 * 1024,
    log: pino({ level: 'silent' }),
    ...options,
  });
  t.after(() => server.close(0));
  const session = connect(`http://127.0.0.1:${server.port}`).on('error', () => {});
  t.after(() => session.destroy());
  return { server, session };
}

function call(session: ClientHttp2Session, path = `/${SERVICE}/GetBatch`): ClientHttp2Stream {
  const headers = { ':method': 'POST', ':path': path };
  const stream = session.request({ ...headers, 'content-type': 'application/grpc', te: 'trailers' });
  return stream.on('error', () => {});
}

/** The start of a message of `bytes`, as gRPC frames it. */
function prefix(bytes: number): Buffer {
  const buffer = Buffer.alloc(5);
  buffer.writeUInt32BE(bytes, 1);
  return buffer;
}

/** The gRPC status of a call that ends without an answer. */
async function refusalOf(stream: ClientHttp2Stream): Promise<number> {
  const [headers] = await once(stream, 'response');
  return Number(headers['grpc-status']);
}

/** The gRPC status of a call, whose answer is read; undefined where it was reset. */
async function endOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  let told: string | undefined;
  stream.on('response', (headers) => {
    told = headers['grpc-status'] as string | undefined;
  });
  stream.on('trailers', (headers) => {
    told = headers['grpc-status'] as string | undefined;
  });
  await closeOf(stream);
  return told === undefined ? undefined : Number(told);
}

/** Resolves when a call is over, whose answer is read, however it ends. */
const closeOf = (stream: ClientHttp2Stream) =>
  new Promise((resolve) => stream.resume().once('close', resolve));

const write = (stream: ClientHttp2Stream, chunk: Buffer) =>
  new Promise((resolve) => stream.write(chunk, resolve));

test('a message in an absurd number of frames ends its call, and its sender is not read any more', async (t) => {
  const { session } = await start(t);
  const stream = call(session);
  const refusal = refusalOf(stream);
  const closed = once(stream, 'close');
  await write(stream, prefix(50_000));
  for (let sent = 0; sent < 2_000 && !stream.destroyed; sent += 1) await write(stream, Buffer.alloc(1));
  assert.equal(await refusal, status.RESOURCE_EXHAUSTED);
  stream.resume();
  await closed;
});

test('a message may come byte by byte', async (t) => {
  const { session } = await start(t);
  const stream = call(session);
  const response = once(stream, 'response');
  // Field 100, which the request does not have: 900 bytes of nothing.
  const message = Buffer.concat([Buffer.from([0xa2, 0x06, 0x84, 0x07]), Buffer.alloc(900)]);
  for (const byte of Buffer.concat([prefix(message.length), message]))
    await write(stream, Buffer.from([byte]));
  stream.end();
  const [headers] = await response;
  assert.equal(headers['grpc-status'], undefined);
  stream.destroy();
});

test('who is not admitted is told so before there is a message, and reset', async (t) => {
  const refusal = { code: status.UNAUTHENTICATED, details: 'no' };
  const { session } = await start(t, {
    admit: ({ path }) => (path.endsWith('/GetBatch') ? refusal : undefined),
  });
  const stream = call(session);
  const closed = once(stream, 'close');
  assert.equal(await refusalOf(stream), status.UNAUTHENTICATED);
  stream.resume();
  await closed;
});

test('a request that does not come to its end in time is given up', async (t) => {
  const { session } = await start(t, { receiveMs: 1 });
  const stream = call(session);
  await write(stream, prefix(100));
  assert.equal(await refusalOf(stream), status.DEADLINE_EXCEEDED);
});

/** Room for about a hundred requests that are coming. */
const LITTLE_ROOM = { maxComingBytes: 2 * 1024 * 1024 };

/** Begins more requests than {@link LITTLE_ROOM} has room for. */
function overwhelm(session: ClientHttp2Session): ClientHttp2Stream[] {
  return Array.from({ length: 200 }, () => call(session));
}

test('requests may all begin before the first of them has its message', async (t) => {
  const { server } = await start(t, { maxConcurrentStreams: 1_000, receiveMs: 60_000 });
  const sessions = [1, 2].map(() => connect(`http://127.0.0.1:${server.port}`).on('error', () => {}));
  t.after(() => sessions.forEach((session) => void session.destroy()));
  await Promise.all(sessions.map((session) => once(session, 'remoteSettings')));
  const calls = sessions.flatMap((session) =>
    Array.from({ length: 600 }, () => call(session, '/grpc.health.v1.Health/Check')),
  );
  const ends = calls.map((stream) => endOf(stream));
  for (const session of sessions) await new Promise((resolve) => session.ping(resolve));
  for (const stream of calls) stream.end(prefix(0));
  assert.deepEqual([...new Set(await Promise.all(ends))], [status.OK]);
});

test('where requests that are coming hold too much, the oldest is refused, so that it may be sent again', async (t) => {
  const { server, session } = await start(t, { ...LITTLE_ROOM, maxConcurrentStreams: 1_000 });
  const first = call(session);
  await write(first, prefix(100));
  await new Promise((resolve) => session.ping(resolve));
  const closed = closeOf(first);
  const other = connect(`http://127.0.0.1:${server.port}`).on('error', () => {});
  t.after(() => other.destroy());
  await once(other, 'remoteSettings');
  const crowd = overwhelm(other);
  await closed;
  assert.equal(first.rstCode, constants.NGHTTP2_REFUSED_STREAM);
  // Its last ones are still there.
  const last = crowd.at(-1) as ClientHttp2Stream;
  const answered = once(last, 'response');
  last.end(prefix(0));
  assert.equal((await answered)[0]['grpc-status'], undefined);
});

test('a gRPC client sends again by itself what was refused for others', async (t) => {
  const { server } = await start(t, { ...LITTLE_ROOM, maxConcurrentStreams: 1_000 });
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  t.after(() => client.close());
  const asIs = (bytes: Buffer) => bytes;
  const check = () =>
    new Promise((resolve, reject) =>
      client.makeUnaryRequest('/grpc.health.v1.Health/Check', asIs, asIs, Buffer.alloc(0), (error) =>
        error ? reject(error) : resolve(undefined),
      ),
    );
  await check();
  await Promise.all(Array.from({ length: 150 }, check));
});

test('large messages that come at once hold what they have, and leave no trace', async (t) => {
  const { session } = await start(t, { maxComingBytes: 300_000, maxReceiveBytes: 200_000 });
  for (let round = 0; round < 5; round += 1) {
    const stream = call(session);
    const end = endOf(stream);
    stream.write(prefix(150_000));
    // Field 100, which the request does not have.
    stream.end(Buffer.concat([Buffer.from([0xa2, 0x06, 0xeb, 0x93, 0x09]), Buffer.alloc(149_995)]));
    assert.equal(await end, status.OK);
  }
});

test('a call of several messages may be long before the first and between two of them, but not within one', async (t) => {
  const { server, session } = await start(t, { ...LITTLE_ROOM, maxConcurrentStreams: 1_000 });
  const other = connect(`http://127.0.0.1:${server.port}`).on('error', () => {});
  t.after(() => other.destroy());
  await once(other, 'remoteSettings');
  const listServices = Buffer.concat([prefix(3), Buffer.from([0x3a, 1, 0x2a])]);
  const silent = call(session, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo');
  const stream = call(session, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo');
  stream.write(listServices);
  await once(stream, 'data');
  const first = call(session);
  await write(first, prefix(100));
  await new Promise((resolve) => session.ping(resolve));
  const closed = closeOf(first);
  overwhelm(other);
  await closed;
  for (const each of [stream, silent]) {
    each.write(listServices);
    await once(each, 'data');
  }
  const ended = endOf(stream);
  await write(stream, prefix(100));
  await new Promise((resolve) => session.ping(resolve));
  overwhelm(other);
  assert.equal(await ended, status.RESOURCE_EXHAUSTED);
});

test('connections and the calls on each are bounded', async (t) => {
  const { server, session } = await start(t, { maxConnections: 1 });
  await once(session, 'remoteSettings');
  assert.equal(session.remoteSettings.maxConcurrentStreams, 100);
  const socket = connectTcp(server.port, '127.0.0.1').on('error', () => {});
  await once(socket.resume(), 'close');
  assert.equal(session.destroyed, false);
});

test('answers that nobody reads are bounded in bytes, and those who go make room', async (t) => {
  const { session } = await start(t, {
    maxUnreadBytes: 2 * ANSWER_BYTES,
    bytesOf: (message) => (message as { data: Buffer }).data.length,
  });
  const ask = () => {
    const stream = call(session);
    stream.end(prefix(0));
    return stream;
  };
  const unread = [ask(), ask()];
  for (const stream of unread) assert.equal((await once(stream, 'response'))[0]['grpc-status'], undefined);
  assert.equal(await refusalOf(ask()), status.RESOURCE_EXHAUSTED);
  unread[0]?.close();
  await once(unread[0]?.resume() as ClientHttp2Stream, 'close');
  await new Promise((resolve) => session.ping(resolve));
  const read = ask();
  let bytes = 0;
  read.on('data', (chunk) => {
    bytes += chunk.length;
  });
  await once(read, 'end');
  assert.ok(bytes > ANSWER_BYTES);
});

test('a call whose answer is not taken in time is reset, and its connection goes on', async (t) => {
  const { session } = await start(t, { takeMs: 1 });
  const unread = call(session);
  const closed = once(unread, 'close');
  unread.end(prefix(0));
  await closed;
  assert.equal(unread.rstCode, constants.NGHTTP2_CANCEL);
  await new Promise((resolve) => session.ping(resolve));
  assert.equal(session.destroyed, false);
});
