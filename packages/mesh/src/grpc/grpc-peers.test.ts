import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createGrpcServer } from '@waybill/common/grpc/grpc-server.ts';
import { createAuthority, type KeyPair, refusedPairs, trust } from '@waybill/test-harness/certificates.ts';
import { startStrangerPeer } from '@waybill/test-harness/collector-stranger.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { pino } from 'pino';
import { patient, serveRequest } from '../mesh.fixture.ts';
import { OK } from '../messages.ts';
import { createGrpcPeers } from './grpc-peers.ts';

async function start(t: TestContext) {
  const stranger = await startStrangerPeer('theirs', ['shared']);
  t.after(stranger.close);
  const peer = createGrpcPeers()(stranger.address, () => {});
  return { stranger, peer };
}

test('a call that was made a moment before its peer was closed is answered, or has provably not run', async (t) => {
  const { stranger, peer } = await start(t);
  await peer.check(patient);
  const answer = peer.serve(serveRequest(), patient).then(
    ({ status }) => status.code,
    ({ code }) => code,
  );
  peer.close();
  const said = await answer;
  assert.equal(said, stranger.received.length > 0 ? OK : 'not-accepted');
});

test('a call that still waits for the connection of a peer that is closed has provably not run', async (t) => {
  const { stranger, peer } = await start(t);
  const waiting = peer.serve(serveRequest(), patient);
  peer.close();
  await assert.rejects(waiting, { code: 'not-accepted' });
  await assert.rejects(peer.serve(serveRequest(), patient), { code: 'not-accepted' });
  assert.deepEqual(stranger.received, []);
});

const authority = createAuthority();
trust(authority);

/** A peer of this machine that shows the certificate, and is called by TLS. */
async function startTls(t: TestContext, tls: KeyPair) {
  const port = await freePort();
  const server = await createGrpcServer({
    ...{ services: [], host: '127.0.0.1', port, tls, isServing: () => true },
    ...{ maxReceiveBytes: 1024, log: pino({ level: 'silent' }) },
  });
  const peer = createGrpcPeers({ accessOf: () => ({ tls: true }) })(`localhost:${port}`, () => {});
  t.after(async () => {
    peer.close();
    await server.close(0);
  });
  return peer;
}

test('a peer that is called by TLS, and shows a certificate for its host, is called', async (t) => {
  const peer = await startTls(t, authority.issue({ names: ['localhost'] }));
  await peer.check(patient);
});

for (const { why, pair } of refusedPairs(authority))
  test(`a peer that shows a certificate ${why} is not called`, async (t) => {
    const peer = await startTls(t, pair);
    for (const call of [peer.check(patient), peer.serve(serveRequest(), patient)])
      await assert.rejects(call, { code: 'not-accepted', message: 'no connection can be made' });
  });

test('a host may have any name, also one that is a scheme of gRPC or a property of every object', () => {
  for (const host of ['unix', 'ipv4', 'constructor']) createGrpcPeers()(`${host}:1`, () => {}).close();
});
