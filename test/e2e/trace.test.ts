import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { on, once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { createNimbusStranger, take } from '@waybill/test-harness/nimbus-stranger.ts';
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from '@waybill/test-harness/otlp-receiver.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { grpcAddressOf, type System, startSystem } from './system.ts';

/** The spans of one ping, each the parent of the next: service, kind, name. */
const WAY_OF_A_PING = [
  'public-web server POST /',
  'public-web producer send PingRequest',
  'dispatcher producer route PingRequest',
  'ping consumer process PingRequest',
  'dispatcher consumer route PingResponse',
  'public-web internal deliver PingResponse',
];

const IS_STREAMED = /^send /;

describe('telemetry of the whole system', () => {
  let broker: TestBroker;
  let receiver: OtlpReceiver;
  let system: System;

  before(async () => {
    broker = await freshBroker();
    receiver = await startOtlpReceiver();
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'square-listener': 1 },
      env: { ...receiver.env, LOG_LEVEL: 'debug' },
      envs: { 'public-web': { PUBLIC_EVENT_TYPES: 'PingRequest,nimbus.sq' } },
    });
  });
  after(async () => {
    await system?.stop();
    await receiver.close();
    await broker.close();
  });

  test('a ping is one trace of six spans, each the parent of the next', async () => {
    const { id, traceId } = await ping(system);

    const spans = await wayOf(receiver, traceId);
    assert.deepEqual(spans.map(describeSpan), WAY_OF_A_PING);
    assert.deepEqual(
      spans.slice(1, 4).map(({ attributes }) => attributes['cloudevents.event_id']),
      [id, id, id],
    );
    assert.equal(spans.filter(({ isError }) => isError).length, 0);
    assert.equal(receiver.spans().filter((span) => span.traceId === traceId).length, WAY_OF_A_PING.length);
  });

  test('its messages are named by exchange, routing key and queue, and how many events they hold', async () => {
    const { traceId } = await ping(system);

    const [, send, ...others] = await wayOf(receiver, traceId);
    const destination = 'waybill.events:PingRequest';
    assert.equal(send?.attributes['messaging.destination.name'], destination);
    assert.deepEqual(others.map(messageOf), [
      { destination, batchSize: 1 },
      { destination: `${destination}:waybill.ping`, batchSize: 1 },
      { destination: 'waybill.replies:waybill.replies', batchSize: 1 },
      { destination: undefined, batchSize: undefined },
    ]);
  });

  test('50 pings sent at once travel in batches, and each keeps a trace of its own', async () => {
    const batchSizes: number[] = [];
    const pings = await Promise.all(Array.from({ length: 50 }, () => ping(system)));

    assert.equal(new Set(pings.map(({ traceId }) => traceId)).size, 50);
    for (const { id, traceId } of pings) {
      const spans = await wayOf(receiver, traceId);
      assert.deepEqual(spans.map(describeSpan), WAY_OF_A_PING);
      assert.equal(spans[1]?.attributes['cloudevents.event_id'], id);
      const [published, consumed] = spans.slice(2, 4).map((span) => messageOf(span).batchSize);
      assert.equal(published, consumed);
      batchSizes.push(Number(consumed));
    }
    assert.ok(Math.max(...batchSizes) > 1, `batches of ${batchSizes}`);
  });

  test('each event of a connection that stays is a trace of its own, which ends before the connection', async () => {
    const [publicWeb] = system.publicWebs;
    const socket = new WebSocket(`ws://127.0.0.1:${publicWeb?.port}/ws`, 'cloudevents.json');
    const answers = on(socket, 'message');
    await once(socket, 'open');
    const stranger = createNimbusStranger(grpcAddressOf(publicWeb as Service));
    const stream = stranger.open({ client_id: 'of the traces' });
    for (const id of ['first', 'second'])
      socket.send(JSON.stringify({ specversion: '1.0', id, source: '/test', type: 'PingRequest', data: {} }));
    for (const number of [1, 2]) stream.write({ event_name: 'SQ', number });
    await take(stream, 2);
    for (let count = 0; count < 2; count += 1) await answers.next();

    const roots = await receiver.waitFor(() => {
      const found = receiver
        .spans()
        .filter(({ name, parentSpanId }) => IS_STREAMED.test(name) && !parentSpanId);
      return found.length >= 4 ? found : undefined;
    });
    assert.equal(new Set(roots.map(({ traceId }) => traceId)).size, 4);
    socket.close();
    stream.end();
    stranger.close();
  });

  test('the log lines of an event carry its trace, its span and its id, in every tier', async () => {
    const { id, traceId } = await ping(system);

    const ofEvent = () => receiver.logs().filter(({ attributes }) => attributes.event_id === id);
    const lines = await receiver.waitFor(() => (ofEvent().length >= 3 ? ofEvent() : undefined));
    assert.deepEqual([...new Set(lines.map(({ traceId }) => traceId))], [traceId]);
    assert.ok(lines.every(({ spanId }) => /^[0-9a-f]{16}$/.test(spanId ?? '')));
    assert.deepEqual(lines.map(({ service, body }) => `${service}: ${body}`).sort(), [
      'dispatcher: event published',
      'ping: event handled',
      'public-web: event answered',
    ]);
  });

  test("a client's own trace is a link, and neither its ids nor ours of the inside are answered", async () => {
    const theirs = '0af7651916cd43dd8448eb211c80319c';
    const { traceId, headers, body } = await ping(system, {
      traceparent: `00-${theirs}-b7ad6b7169203331-01`,
    });

    const [edge] = await wayOf(receiver, traceId);
    assert.notEqual(traceId, theirs);
    assert.deepEqual(
      edge?.links.map((link) => link.traceId),
      [theirs],
    );
    assert.equal(headers.get('traceparent'), null);
    assert.deepEqual(Object.keys(body).sort(), ['data', 'id', 'type']);
  });

  test('the first metrics of every tier come out', async () => {
    await ping(system);
    const expected = ['waybill.events', 'waybill.event.duration', 'waybill.batch.size', 'waybill.parked'];
    await receiver.waitFor(() => expected.every((name) => receiver.metricNames().includes(name)));
  });
});

async function ping({ publicWebs }: System, headers: Record<string, string> = {}) {
  const id = randomUUID();
  const response = await fetch(`${publicWebs[0]?.baseUrl}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ id, type: 'PingRequest', data: { sentAt: Date.now() } }),
  });
  assert.equal(response.status, 200);
  const traceId = response.headers.get('traceresponse')?.split('-')[1];
  assert.ok(traceId, 'the answer names its trace');
  return { id, traceId, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
}

/** The chain of spans from the root of a trace, once it is complete. */
function wayOf(receiver: OtlpReceiver, traceId: string): Promise<ReceivedSpan[]> {
  return receiver.waitFor(() => {
    const spans = receiver.spans().filter((span) => span.traceId === traceId);
    const chain: ReceivedSpan[] = [];
    let next = spans.find(({ parentSpanId }) => parentSpanId === undefined);
    for (; next; next = spans.find(({ parentSpanId }) => parentSpanId === chain.at(-1)?.spanId))
      chain.push(next);
    return chain.length >= WAY_OF_A_PING.length ? chain : undefined;
  });
}

function messageOf({ attributes }: ReceivedSpan) {
  return {
    destination: attributes['messaging.destination.name'],
    batchSize: attributes['waybill.batch.size'],
  };
}

function describeSpan({ service, kind, name }: ReceivedSpan): string {
  return `${service} ${kind} ${name}`;
}
