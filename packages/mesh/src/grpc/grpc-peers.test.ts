import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startStrangerPeer } from '@waybill/test-harness/collector-stranger.ts';
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
