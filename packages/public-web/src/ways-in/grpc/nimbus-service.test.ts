/** `nimbus.NimbusService` of a public-web process, as a client of the contract alone sees it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import {
  createNimbusStranger,
  type NimbusRequest,
  type NimbusStranger,
  take,
} from '@waybill/test-harness/nimbus-stranger.ts';
import { type OtlpReceiver, startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import {
  answer,
  type Dispatcher,
  deliver,
  pong,
  startDispatcher,
  startPublicWeb,
} from '../../public-web.fixture.ts';

const KEY = 'canary-key-of-streams';
const CLIENT = { client_id: 'one', authorization: `Bearer ${KEY}` };
const API_KEYS = JSON.stringify([
  { id: 'streams', hash: `sha256:${createHash('sha256').update(KEY).digest('hex')}`, types: ['nimbus.sq'] },
]);

describe('the gRPC streams of public-web', () => {
  let receiver: OtlpReceiver;
  let dispatcher: Dispatcher;
  let publicWeb: Service;
  let client: NimbusStranger;
  before(async () => {
    receiver = await startOtlpReceiver();
    dispatcher = await startDispatcher({ onBatch: squareInReverse });
    publicWeb = await startPublicWeb([dispatcher], {
      ...receiver.env,
      API_KEYS,
      PUBLIC_EVENT_TYPES: 'nimbus.sq,nimbus.other',
    });
    const { grpcPort } = publicWeb.logs.find(({ msg }) => msg === 'listening') ?? {};
    client = createNimbusStranger(`127.0.0.1:${grpcPort}`);
  });
  after(async () => {
    client.close();
    publicWeb.kill('SIGKILL');
    await dispatcher.close();
    await receiver.close();
  });

  it('give a client that sends 1 to 10 their squares, in order, whatever is replied first', async () => {
    const stream = client.open(CLIENT);
    const numbers = Array.from({ length: 10 }, (_, index) => index + 1);
    for (const number of numbers) stream.write({ event_name: 'sq', number });
    stream.end();
    assert.deepEqual(
      await Array.fromAsync(stream),
      numbers.map((number) => ({ event_name: 'sq', number, result: number * number })),
    );
  });

  it('need an API key where one is needed, and send only what it permits', async () => {
    await assert.rejects(Array.fromAsync(client.open({ client_id: 'one' })), {
      code: status.UNAUTHENTICATED,
      details: 'an API key is needed',
    });
    const stream = client.open(CLIENT);
    stream.write({ event_name: 'other', number: 2 });
    assert.deepEqual(await take(stream, 1), [{ event_name: 'other', number: 2, result: 0 }]);
    const line = await publicWeb.waitForLog(({ event_type }) => event_type === 'nimbus.other');
    assert.deepEqual([line.outcome, line.api_key_id], ['forbidden', 'streams']);
    stream.end();
  });

  it('begin a trace with each event', async () => {
    const stream = client.open(CLIENT);
    for (const number of [1, 2]) stream.write({ event_name: 'sq', number });
    stream.end();
    await Array.fromAsync(stream);
    const ours = await receiver.waitFor(() => {
      const sent = receiver.spans().filter(({ name }) => name.startsWith('send nimbus.'));
      return sent.length >= 12 && sent;
    });
    const streams = receiver.spans().filter(({ kind }) => kind === 'server');
    const traces = [...ours, ...streams].map(({ traceId }) => traceId);
    assert.equal(new Set(traces).size, traces.length);
  });

  it('answer what they have read when the process is told to stop, and exit 0', async () => {
    const held = Promise.withResolvers<{ events: CloudEvent[]; response: ServerResponse }>();
    dispatcher.onBatch = (events, response) => held.resolve({ events, response });
    const stream = client.open(CLIENT);
    stream.write({ event_name: 'sq', number: 4 });
    const { events, response } = await held.promise;
    const stopping = publicWeb.stop();
    await publicWeb.waitForLog(({ msg }) => msg === 'stopping');
    void squareInReverse(events, response);
    assert.deepEqual(await take(stream, 1), [{ event_name: 'sq', number: 4, result: 16 }]);
    await assert.rejects(take(stream, 1), { code: status.UNAVAILABLE });
    assert.deepEqual(await stopping, { code: 0, signal: null });
  });
});

/** Confirms every event, and answers it as square-listener does, the last one first. */
async function squareInReverse(events: CloudEvent[], response: ServerResponse): Promise<void> {
  answer(response);
  await deliver(
    events.toReversed().map((event) => {
      const { event_name, number } = event.data as NimbusRequest;
      const data = { event_name, number, result: Math.imul(number, number) };
      return pong(event, { type: 'nimbus.result', data });
    }),
  );
}
