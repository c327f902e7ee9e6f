import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { PROBLEM_TYPE } from '@waybill/common/event/event.ts';
import { problemFor } from '@waybill/common/problem.ts';
import {
  type Answer,
  createStranger,
  type Stranger,
  type StrangerPeer,
  startStrangerPeer,
} from '@waybill/test-harness/collector-stranger.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import {
  answer,
  type Dispatcher,
  deliver,
  pong,
  startDispatcher,
  startPublicWeb,
} from '../public-web.fixture.ts';

const input = { type_url: 'type.googleapis.com/acme.Name', value: Buffer.from([10, 3, 65, 100, 97]) };
const call = {
  namespace: 'acme',
  service: { namespace: 'acme', service_name: 'Greeter' },
  method_name: 'Greet',
  input,
};
const told = ({ status }: Answer) => `${status.code} ${status.message}`;

/** Confirms every event, and delivers what `reply` makes of it. */
const replying =
  (reply: (event: CloudEvent) => Partial<CloudEvent>) =>
  async (events: CloudEvent[], response: Parameters<typeof answer>[0]) => {
    answer(response);
    await deliver(events.map((event) => ({ ...pong(event), data: undefined, ...reply(event) })));
  };
const greeting = { type_url: 'type.googleapis.com/acme.Greeting', value: Buffer.from('hello') };
const greet = replying(() => ({
  data_base64: greeting.value.toString('base64'),
  datacontenttype: 'application/protobuf',
  typeurl: greeting.type_url,
}));

describe('public-web as a site of a mesh', () => {
  let dispatcher: Dispatcher;
  let publicWeb: Service;
  let client: Stranger;
  let peer: StrangerPeer;

  before(async () => {
    dispatcher = await startDispatcher();
    peer = await startStrangerPeer('theirs', ['acme']);
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    publicWeb = await startPublicWeb([dispatcher], {
      GRPC_PORT: String(port),
      MESH_ID: 'ours',
      MESH_ADDRESS: address,
      MESH_NAMESPACES: 'acme,far',
    });
    client = createStranger(address);
  });
  after(async () => {
    client.close();
    await publicWeb.stop();
    await dispatcher.close();
    peer.close();
  });
  beforeEach(() => {
    dispatcher.batches.length = 0;
    dispatcher.onBatch = greet;
  });

  for (const method of ['Serve', 'Dispatch'] as const)
    it(`${method} runs a method as an event, and its reply is the output`, async () => {
      const context = method === 'Serve' ? 'execution_context' : 'routing_hints';
      const given = await client.call(method, { ...call, [context]: { tone: 'low' } });
      assert.equal(told(given), '200 OK');
      assert.deepEqual(given.output, greeting);
      assert.equal(given.executor_id || given.handled_by_collector_id, 'ours');
      const [event] = dispatcher.batches.flat();
      const { type, typeurl, data_base64, datacontenttype, executioncontext } = event ?? assert.fail();
      assert.deepEqual(
        { type, typeurl, data_base64, datacontenttype, executioncontext },
        {
          type: 'acme.Greeter.Greet',
          typeurl: input.type_url,
          data_base64: input.value.toString('base64'),
          datacontenttype: 'application/protobuf',
          executioncontext: '{"tone":"low"}',
        },
      );
    });

  it('a call without input is an event without data, and a reply without data no output', async () => {
    dispatcher.onBatch = replying(() => ({}));
    const given = await client.call('Serve', { ...call, input: undefined });
    assert.deepEqual([told(given), given.output], ['200 OK', null]);
    const [event] = dispatcher.batches.flat();
    assert.ok(event && !('data_base64' in event) && !('typeurl' in event));
  });

  const missing = "404 method 'Greeter.Greet' not found in namespace 'acme'";
  it('a method that no listener takes is not found', async () => {
    dispatcher.onBatch = (events, response) =>
      answer(response, { unroutable: events.map(({ correlationid }) => correlationid) });
    assert.equal(told(await client.call('Serve', call)), missing);
    assert.equal(told(await client.call('Dispatch', call)), missing);
  });

  it('a name that no event can have is not found, and nothing is sent', async () => {
    for (const method_name of ['a b', 'x'.repeat(200), 'é'])
      assert.equal(
        told(await client.call('Serve', { ...call, method_name })),
        `404 method 'Greeter.${method_name}' not found in namespace 'acme'`,
      );
    assert.equal(
      told(await client.call('Serve', { ...call, namespace: 'waybill' })),
      "404 method 'Greeter.Greet' not found in namespace 'waybill'",
    );
    assert.deepEqual(dispatcher.batches, []);
  });

  it('a handler that fails is a 500 with what it said, and so is a reply that is no Any', async () => {
    const problem = {
      type: 'about:blank',
      title: 'no',
      status: 502,
      detail: 'no luck',
      code: 'not-accepted',
    };
    dispatcher.onBatch = replying(() => ({ type: PROBLEM_TYPE, data: problem }));
    const given = await client.call('Dispatch', call);
    assert.equal(told(given), '500 handler error: no luck');
    assert.deepEqual(
      [given.status.details, given.handled_by_collector_id],
      [{ code: 'handler-failed' }, 'ours'],
    );
    dispatcher.onBatch = replying(() => ({ data: { some: 'JSON' } }));
    assert.match(told(await client.call('Serve', call)), /^500 handler error: .* has JSON where/);
  });

  it('what no event holds is refused with 400', async () => {
    const long = { ...input, value: Buffer.alloc(256 * 1024) };
    const tooLarge = await client.call('Serve', { ...call, input: long });
    assert.match(told(tooLarge), /^400 the input does not fit/);
    const execution_context = { long: 'x'.repeat(2_048) };
    assert.match(
      told(await client.call('Serve', { ...call, execution_context })),
      /^400 the context has more/,
    );
    assert.deepEqual(dispatcher.batches, []);
  });

  it('a call that provably did not run here runs at a peer, and one whose outcome is unknown does not', async () => {
    await client.call('Connect', { address: peer.address, namespaces: ['acme'] });
    const busy = problemFor('not-accepted', 'too much to do');
    dispatcher.onBatch = (events, response) =>
      answer(response, { rejected: events.map(({ correlationid: id }) => ({ id, problem: busy })) });
    assert.equal((await client.call('Dispatch', call)).handled_by_collector_id, 'theirs');
    const served = () => peer.received.filter(({ method }) => method === 'Serve').length;
    const before = served();
    dispatcher.onBatch = (_events, response) => response.destroy();
    const given = await client.call('Dispatch', call, {}, 1_500);
    assert.equal(given.status.details.code, 'outcome-unknown');
    assert.equal(served(), before);
    await client.call('Connect', { address: peer.address, namespaces: [] });
  });
});
