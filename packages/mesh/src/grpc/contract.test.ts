/** The contract, row by row, as a client and a peer see it that know nothing else. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import {
  type Answer,
  type Any,
  createStranger,
  type Stranger,
  type StrangerPeer,
  startStrangerPeer,
} from '@waybill/test-harness/collector-stranger.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type GrpcSite, startSite } from './grpc-mesh.fixture.ts';

const input: Any = { type_url: 'type.googleapis.com/nobody.Knows', value: Buffer.from([0, 255, 1, 128, 10]) };
const call = {
  namespace: 'shared',
  service: { namespace: 'shared', service_name: 'Echo' },
  method_name: 'Say',
  input,
};
const told = ({ status }: Answer) => `${status.code} ${status.message}`;

describe('a site, to a client that knows the contract alone', () => {
  let site: GrpcSite;
  let client: Stranger;
  let peer: StrangerPeer;
  const ended: (() => unknown)[] = [];

  before(async () => {
    site = await startSite({ after: (close) => ended.push(close as () => unknown) }, 'ours', {
      namespaces: ['b', 'shared', 'a'],
    });
    site.registerService('shared', 'Echo', 'Say', ({ input }) => input);
    site.registerService('shared', 'Echo', 'Fail', () => assert.fail('no luck'));
    client = createStranger(site.address);
    peer = await startStrangerPeer('theirs', ['shared', 'far']);
  });
  beforeEach(() => {
    peer.received.length = 0;
  });
  after(async () => {
    for (const close of ended) await close();
    client.close();
    peer.close();
  });

  const refusals = [
    [{}, '400 namespace is required'],
    [{ namespace: 'shared' }, '400 service is required'],
    [{ namespace: 'shared', service: {} }, '400 service is required'],
    [{ ...call, method_name: '' }, '400 method_name is required'],
  ] as const;
  for (const [request, message] of refusals)
    for (const method of ['Serve', 'Dispatch'] as const)
      it(`${method} answers ${message} to ${JSON.stringify(request).slice(0, 40)}`, async () =>
        assert.equal(told(await client.call(method, request)), message));

  it('Connect answers 400 without an address', async () => {
    assert.equal(told(await client.call('Connect', { namespaces: ['shared'] })), '400 address is required');
  });

  it("Connect answers 200 with the shared namespaces in the caller's order", async () => {
    const request = { address: peer.address, namespaces: ['z', 'a', 'shared'] };
    const answer = await client.call('Connect', request);
    assert.equal(told(answer), '200 Connected with 2 shared namespaces');
    assert.deepEqual(answer.shared_namespaces, ['a', 'shared']);
    assert.equal(answer.target_collector_id, 'ours');
    assert.ok(answer.connection_id);
    await client.call('Connect', { ...request, namespaces: [] });
  });

  it('Serve answers as the rows say, in their order', async () => {
    const serve = async (changes: object) => told(await client.call('Serve', { ...call, ...changes }));
    site.setRegistryValidator(({ namespace }) => (namespace === 'X' ? 'X.Echo' : undefined));
    assert.equal(await serve({ namespace: 'X' }), '404 service not registered in registry: X.Echo');
    site.setRegistryValidator(undefined);
    assert.equal(await serve({ namespace: 'X' }), "404 namespace 'X' not found");
    assert.equal(
      await serve({ method_name: 'Nope' }),
      "404 method 'Echo.Nope' not found in namespace 'shared'",
    );
    assert.equal(await serve({ method_name: 'Fail' }), '500 handler error: no luck');
    assert.equal(await serve({}), '200 OK');
  });

  it('passes an Any unread, whatever is in it, and none as none', async () => {
    for (const method of ['Serve', 'Dispatch'] as const) {
      const answer = await client.call(method, call);
      assert.deepEqual(answer.output, input);
      assert.equal(answer.executor_id || answer.handled_by_collector_id, 'ours');
      assert.equal((await client.call(method, { ...call, input: undefined })).output, null);
      const wrong = { type_url: '://', value: Buffer.alloc(1_000_000, 7) };
      assert.deepEqual((await client.call(method, { ...call, input: wrong })).output, wrong);
    }
  });

  it('Dispatch answers 404 where nobody is', async () => {
    assert.equal(
      told(await client.call('Dispatch', { ...call, target_collector_id: 'nobody' })),
      "404 no connection to collector 'nobody'",
    );
    assert.equal(
      told(await client.call('Dispatch', { ...call, namespace: 'X' })),
      "404 no collector found for namespace 'X'",
    );
  });

  it('Dispatch runs here what is served here, also for this collector as the target', async () => {
    for (const target_collector_id of ['', 'ours']) {
      const answer = await client.call('Dispatch', { ...call, target_collector_id });
      assert.deepEqual([told(answer), answer.handled_by_collector_id], ['200 OK', 'ours']);
    }
    assert.equal(
      told(await client.call('Dispatch', { ...call, target_collector_id: 'ours', method_name: 'Nope' })),
      "404 method 'Echo.Nope' not found in namespace 'shared'",
    );
  });

  const connects = {
    'the site has connected to': () => site.connectTo(peer.address),
    'has connected to the site': () =>
      client.call('Connect', { address: peer.address, namespaces: ['far', 'shared'] }),
  };
  for (const [which, connect] of Object.entries(connects))
    it(`Dispatch runs at a peer that ${which} what is served there, and says what it said`, async () => {
      await connect();
      const dispatch = (changes: object) =>
        client.call('Dispatch', { ...call, method_name: 'Far', ...changes });
      const toPeer = () => dispatch({ target_collector_id: 'theirs', routing_hints: { tone: 'low' } });
      // It does not say who it is, and is asked in the background.
      const answer = await eventually(async () => {
        const answer = await toPeer();
        assert.equal(told(answer), '200 OK');
        return answer;
      });
      assert.deepEqual([answer.output, answer.handled_by_collector_id], [input, 'theirs']);
      const served = peer.received.filter(({ method }) => method === 'Serve');
      assert.deepEqual(served[0]?.request.execution_context, { tone: 'low' });
      assert.equal((await dispatch({})).handled_by_collector_id, 'theirs');
      const broken = { code: 500, message: 'handler error: theirs', details: { why: 'because' } };
      peer.onServe = () => ({ status: broken });
      for (const target_collector_id of ['', 'theirs'])
        assert.deepEqual((await dispatch({ target_collector_id })).status, broken);
      peer.onServe = () => ({});
      assert.equal(told(await dispatch({})), '500 the peer answered without a status');
      peer.onServe = ({ input }) => ({ status: { code: 200, message: 'OK' }, output: input });
      assert.equal((await dispatch({})).handled_by_collector_id, 'theirs');
      const [connection] = await site.listActiveConnections();
      await site.disconnect(connection?.connectionId ?? '');
      const last = peer.received.at(-1);
      assert.deepEqual([last?.method, last?.request.namespaces], ['Connect', []]);
    });

  it('has health and reflection', async () => {
    const plain = new Client(site.address, credentials.createInsecure());
    const name = 'collector.CollectiveDispatcher';
    const health = await new Promise<Buffer | undefined>((resolve, reject) => {
      const request = Buffer.concat([Buffer.from([10, name.length]), Buffer.from(name)]);
      plain.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (bytes: Buffer) => bytes,
        (bytes) => bytes,
        request,
        (error, answer) => (error ? reject(error) : resolve(answer)),
      );
    });
    assert.deepEqual(health, Buffer.from([8, 1]));
    const stream = plain.makeBidiStreamRequest(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      (bytes: Buffer) => bytes,
      (bytes) => bytes,
    );
    // file_containing_symbol = 4
    stream.write(Buffer.concat([Buffer.from([0x22, name.length]), Buffer.from(name)]));
    const [descriptors] = await stream.take(1).toArray();
    for (const word of ['collector.proto', 'ExecutionContextEntry', 'google/protobuf/any.proto'])
      assert.ok((descriptors as Buffer).includes(word), word);
    plain.close();
  });
});
