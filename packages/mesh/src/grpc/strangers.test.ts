/** What those who are no good can do to a site: as its clients, and as its peers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import {
  createStranger,
  type Stranger,
  type StrangerPeer,
  startStrangerPeer,
} from '@waybill/test-harness/collector-stranger.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createNetwork, dispatch } from '../mesh.fixture.ts';
import { OK } from '../messages.ts';
import { MAX_CALLS_PER_CONNECTION } from './collector-service.ts';
import { type GrpcSite, startSite } from './grpc-mesh.fixture.ts';

const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const service = { namespace: 'shared', service_name: 'Echo' };
const call = { namespace: 'shared', service, method_name: 'Say' };
const ofBytes = (bytes: number) => ({ type_url: 't', value: Buffer.alloc(bytes) });

describe('a site over gRPC', () => {
  let site: GrpcSite;
  let stranger: Stranger;
  let good: Stranger;
  let peer: StrangerPeer;
  let runs = 0;
  const ended: (() => unknown)[] = [];

  before(async () => {
    site = await startSite({ after: (close) => ended.push(close as () => unknown) }, 'ours', {
      namespaces: ['shared', 'far'],
    });
    site.registerService('shared', 'Echo', 'Say', ({ input }) => {
      runs += 1;
      return input;
    });
    stranger = createStranger(site.address);
    good = createStranger(site.address);
    peer = await startStrangerPeer('theirs', ['shared', 'far']);
    await site.connectTo(peer.address);
  });
  after(async () => {
    for (const close of ended) await close();
    stranger.close();
    good.close();
    peer.close();
  });

  it('takes an input of as much as a message may have, and refuses a larger one before it runs', async () => {
    const largest = ofBytes(MAX_MESSAGE_BYTES - 1_024);
    assert.equal(
      (await stranger.call('Serve', { ...call, input: largest })).output?.value.length,
      largest.value.length,
    );
    const before = runs;
    await assert.rejects(stranger.call('Serve', { ...call, input: ofBytes(MAX_MESSAGE_BYTES) }), {
      code: status.RESOURCE_EXHAUSTED,
    });
    assert.equal(runs, before);
  });

  it('answers others while one has as many calls hanging as it may have on its connection', async () => {
    const hung = Promise.withResolvers<null>();
    site.registerService('shared', 'Echo', 'Hang', () => hung.promise);
    const flood = Array.from({ length: MAX_CALLS_PER_CONNECTION - 10 }, () =>
      stranger.call('Serve', { ...call, method_name: 'Hang' }),
    );
    assert.equal((await good.call('Serve', call)).status.code, OK);
    hung.resolve(null);
    for (const answer of await Promise.all(flood)) assert.equal(answer.status.code, OK);
  });

  it('tells a handler when its caller goes, and not when it is answered', async () => {
    const signals: AbortSignal[] = [];
    site.registerService('shared', 'Echo', 'Watch', async ({ signal, executionContext }) => {
      signals.push(signal as AbortSignal);
      if (executionContext.waits) await once(signal as AbortSignal, 'abort');
      return null;
    });
    const watch = { ...call, method_name: 'Watch' };
    assert.equal((await stranger.call('Serve', watch)).status.code, OK);
    const gone = stranger.call('Serve', { ...watch, execution_context: { waits: 'yes' } });
    const isGone = assert.rejects(gone, { code: status.UNAVAILABLE });
    await eventually(() => assert.equal(signals.length, 2));
    site.proxy.reset();
    await isGone;
    await eventually(() =>
      assert.deepEqual(
        signals.map(({ aborted }) => aborted),
        [false, true],
      ),
    );
  });

  it('sends a peer no more than a message may have, says so, and calls it on', async () => {
    // With the way of the call it is too large for whoever takes 4 MB.
    const input = ofBytes(MAX_MESSAGE_BYTES - 60);
    const far = { ...call, namespace: 'far' };
    for (let calls = 0; calls < 6; calls += 1) {
      const { status } = await good.call('Dispatch', { ...far, input });
      assert.deepEqual([status.code, status.details.code], [400, 'too-large'], status.message);
    }
    assert.equal((await good.call('Dispatch', far)).handled_by_collector_id, 'theirs');
    const served = peer.received.filter(({ method }) => method === 'Serve');
    assert.equal(served.length, 1);
    peer.received.length = 0;
  });

  it('takes an output of a peer that is too large for one whose outcome is unknown', async () => {
    peer.onServe = () => ({ status: { code: 200 }, output: ofBytes(MAX_MESSAGE_BYTES + 1) });
    const answer = await good.call('Dispatch', { ...call, namespace: 'far' });
    assert.deepEqual([answer.status.code, answer.status.details.code], [500, 'outcome-unknown']);
    assert.deepEqual(peer.received.filter(({ method }) => method === 'Serve').length, 1);
  });

  it('reads no way and no context of absurd size or form, and runs the call where it came', async () => {
    for (const context of [
      { 'waybill-hops': '-1', 'waybill-visited': ',,,' },
      { 'waybill-hops': '9'.repeat(10_000), 'waybill-visited': 'x,'.repeat(100_000) },
      Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`name ${n}`, 'x'])),
      JSON.parse('{"__proto__":"x","constructor":"y"}'),
    ]) {
      const answer = await stranger.call('Serve', { ...call, execution_context: context });
      assert.deepEqual([answer.status.code, answer.executor_id], [OK, 'ours']);
    }
  });
});

describe('a peer that leaves out a field of its answer', () => {
  const whole = {
    status: { code: 200, message: 'OK' },
    shared_namespaces: ['shared'],
    target_collector_id: 'theirs',
  };
  for (const [field, told] of [
    ['status', /^the peer refuses to connect: the peer answered without a status$/],
    ['target_collector_id', /^the peer does not say who it is$/],
  ] as const)
    it(`to a Connect, ${field}, is not connected to`, async (t) => {
      const site = await startSite(t, 'ours');
      const peer = await startStrangerPeer('theirs', ['shared']);
      t.after(peer.close);
      peer.onConnect = () => ({ ...whole, [field]: undefined });
      await assert.rejects(site.connectTo(peer.address), { message: told });
    });

  it('to a Connect, which namespaces are shared, shares none', async (t) => {
    const site = await startSite(t, 'ours');
    const peer = await startStrangerPeer('theirs', ['shared']);
    t.after(peer.close);
    peer.onConnect = () => ({ ...whole, shared_namespaces: undefined });
    assert.deepEqual((await site.connectTo(peer.address)).sharedNamespaces, []);
  });

  it('to a Serve, output or executor_id, has run it without an output', async (t) => {
    const site = await startSite(t, 'ours');
    const peer = await startStrangerPeer('theirs', ['shared']);
    t.after(peer.close);
    await site.connectTo(peer.address);
    peer.onServe = () => ({ status: whole.status });
    const { status, output, handled_by_collector_id } = await dispatch(site);
    assert.deepEqual([status.code, output, handled_by_collector_id], [OK, null, 'theirs']);
  });
});

describe('a site among peers', () => {
  it('takes no more of them than it can keep, however many ask, and goes on with those that it has', async () => {
    const network = createNetwork();
    const [a, b] = [network.add('a', { checkMs: 60_000 }), network.add('b', { checkMs: 60_000 })];
    b.registerService('shared', 'Greeter', 'Greet', () => null);
    await b.connectTo('a:1');
    const codes: number[] = [];
    for (let n = 0; n < 300; n += 1) {
      const metadata = { collector_id: `flood-${n}` };
      const answer = await a.accept({ address: `flood-${n}:1`, namespaces: ['shared'], metadata });
      codes.push(answer.status.code);
    }
    assert.equal(codes.filter((code) => code === OK).length, 255);
    assert.deepEqual([...new Set(codes)], [OK, 500]);
    assert.equal((await dispatch(a, { target_collector_id: 'b' })).handled_by_collector_id, 'b');
    await network.close();
  });

  it('keeps one connection with one that connects again and again', async () => {
    const network = createNetwork();
    const a = network.add('a', { checkMs: 60_000 });
    network.add('b', { checkMs: 60_000 });
    const request = { address: 'b:1', namespaces: ['shared'], metadata: { collector_id: 'b' } };
    for (let n = 0; n < 1_000; n += 1) await a.accept(request);
    assert.equal((await a.listConnections()).length, 1);
    await network.close();
  });

  it('shares no namespace with a peer that claims more than it was offered, and none in absurd numbers', async () => {
    const network = createNetwork();
    const a = network.add('a');
    const claims = ['waybill', 'secret', 'shared', 'shared'];
    const hostile = network.add('b');
    network.alias('b', {
      ...hostile,
      accept: async (request) => ({ ...(await hostile.accept(request)), shared_namespaces: claims }),
    });
    assert.deepEqual((await a.connectTo('b:1')).sharedNamespaces, ['shared']);
    const namespaces = Array.from({ length: 1_001 }, (_, n) => `n${n}`);
    const { status: refused } = await a.accept({ address: 'c:1', namespaces, metadata: {} });
    assert.equal(`${refused.code} ${refused.message}`, '400 too many namespaces');
    await network.close();
  });
});
