import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { MethodDefinition } from '@grpc/grpc-js';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { patient, serveRequest } from '../mesh.fixture.ts';
import { OK } from '../messages.ts';
import { createGrpcPeers } from './grpc-peers.ts';

const { Serve } = loadPackage('collector.proto').collector.CollectiveDispatcher.service as unknown as {
  Serve: MethodDefinition<object, object>;
};

/** A peer of HTTP/2 alone, which does `onCall` with each call; `calls` are those that have come. */
async function start(
  t: TestContext,
  onCall: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, number: number) => void,
) {
  const calls: { stream: ServerHttp2Stream; headers: IncomingHttpHeaders }[] = [];
  const server = createServer().on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    calls.push({ stream, headers });
    onCall(stream, headers, calls.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const peer = createGrpcPeers()(`127.0.0.1:${port}`, () => {});
  t.after(() => {
    peer.close();
    server.close();
  });
  return { peer, calls };
}

function answer(stream: ServerHttp2Stream, { isCompressed = false } = {}): void {
  const message = Serve.responseSerialize({ status: { code: OK, message: 'OK' }, executor_id: 'theirs' });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(Number(isCompressed), 0);
  prefix.writeUInt32BE(message.length, 1);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.concat([prefix, message]));
}

test('a call that the peer refused is made once more', async (t) => {
  const { peer, calls } = await start(t, (stream, _headers, number) =>
    number === 1 ? stream.close(constants.NGHTTP2_REFUSED_STREAM) : answer(stream),
  );
  assert.equal((await peer.serve(serveRequest(), patient)).executor_id, 'theirs');
  assert.equal(calls.length, 2);
});

test('one that it refuses again has provably not run', async (t) => {
  const { peer, calls } = await start(t, (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
  await assert.rejects(peer.serve(serveRequest(), patient), { code: 'not-accepted' });
  assert.equal(calls.length, 2);
});

test('one that it resets otherwise may have run', async (t) => {
  for (const code of [constants.NGHTTP2_CANCEL, constants.NGHTTP2_INTERNAL_ERROR]) {
    const { peer, calls } = await start(t, (stream) => stream.close(code));
    await assert.rejects(peer.serve(serveRequest(), patient), ({ code }) => code !== 'not-accepted');
    assert.equal(calls.length, 1);
  }
});

test('a peer is told how long it is waited for, and then no longer', async (t) => {
  const { promise: reset, resolve } = Promise.withResolvers<number>();
  const { peer, calls } = await start(t, (stream) =>
    stream.once('close', () => resolve(Number(stream.rstCode))),
  );
  await assert.rejects(peer.serve(serveRequest(), { deadlineMs: 1_000 }), { code: 'outcome-unknown' });
  assert.match(`${calls[0]?.headers['grpc-timeout']}`, /^(?:1000|\d{1,3})m$/);
  assert.equal(await reset, constants.NGHTTP2_CANCEL);
});

test('a call whose caller goes is reset', async (t) => {
  const caller = new AbortController();
  const { promise: reset, resolve } = Promise.withResolvers<number>();
  const { peer } = await start(t, (stream) => {
    stream.once('close', () => resolve(Number(stream.rstCode)));
    caller.abort();
  });
  const call = peer.serve(serveRequest(), { ...patient, signal: caller.signal });
  await assert.rejects(call, { code: 'outcome-unknown' });
  assert.equal(await reset, constants.NGHTTP2_CANCEL);
});

test('an answer that is compressed, for which no call asks, is none', async (t) => {
  const { peer, calls } = await start(t, (stream) => answer(stream, { isCompressed: true }));
  await assert.rejects(peer.serve(serveRequest(), patient), { code: 'unexpected' });
  assert.equal(calls[0]?.headers['grpc-accept-encoding'], undefined);
});
