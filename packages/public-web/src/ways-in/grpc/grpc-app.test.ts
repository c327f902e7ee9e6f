import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type ClientUnaryCall, credentials, Metadata, type requestCallback, status } from '@grpc/grpc-js';
import { MAX_PARTIAL_BATCHES_IN_FLIGHT } from '@waybill/common/batch-limits.ts';
import type { DataDispatcherServiceClient as Stub } from '@waybill/common/grpc/generated/data_dispatcher_service/DataDispatcherService.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createNimbusStranger } from '@waybill/test-harness/nimbus-stranger.ts';
import { startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { hang, refuse } from '@waybill/test-harness/stand-in.ts';
import {
  assertNoCanary,
  assertSent,
  CANARY,
  client,
  dataDispatchEnv,
  faults,
} from '../../new-client.fixture.ts';
import {
  answer,
  confirmAll,
  type Dispatcher,
  startDispatcher,
  startPublicWeb,
} from '../../public-web.fixture.ts';

type Answer = { status: string; message: string };
type Callback = requestCallback<Answer>;

const { DataDispatcherService } = loadPackage('data_dispatcher_service.proto').data_dispatcher_service;
const stubs: Stub[] = [];

function connect(service: Service): Stub {
  const { grpcPort } = service.logs.find(({ msg }) => msg === 'listening') ?? {};
  const stub = new DataDispatcherService(`127.0.0.1:${grpcPort}`, credentials.createInsecure());
  stubs.push(stub);
  return stub;
}

/** Resolves with the answer; rejects where the gRPC status is not OK. `start` makes the call. */
function answerOf(start: (callback: Callback) => unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value as Answer)));
  });
}

function notify(stub: Stub, changes: object = {}, metadata = new Metadata()): Promise<Answer> {
  return answerOf((callback) => stub.NotifyNewClient({ ...client, ...changes }, metadata, callback));
}

const OK = { status: 'OK', message: 'Client processing started' };
let dispatcher: Dispatcher;
let publicWeb: Service;

describe('the gRPC port of public-web', () => {
  let stub: Stub;
  before(async () => {
    dispatcher = await startDispatcher();
    // At debug no line is left out, however many there are in a second.
    publicWeb = await startPublicWeb([dispatcher], { ...dataDispatchEnv, LOG_LEVEL: 'debug' });
    stub = connect(publicWeb);
  });
  after(async () => {
    await publicWeb.stop();
    await dispatcher.close();
    for (const open of stubs) open.close();
  });
  beforeEach(() => {
    dispatcher.batches.length = 0;
    dispatcher.onBatch = confirmAll;
  });
  afterEach(() => assertNoCanary(publicWeb, dispatcher));

  it('answers OK to a new client, whose event has gone to the dispatcher, and logs one line', async () => {
    assert.deepEqual(await notify(stub), OK);
    const { id } = await assertSent(dispatcher);
    await publicWeb.waitForLog(({ event_id }) => event_id === id);
    const lines = publicWeb.logs.filter(({ event_id }) => event_id === id);
    assert.deepEqual(
      lines.map(({ event_type, status }) => ({ event_type, status })),
      [{ event_type: 'NewClientRequest', status: 202 }],
    );
  });

  for (const [changes, message] of faults)
    it(`answers ERROR to ${JSON.stringify(changes).slice(0, 60)}: ${message}`, async () => {
      assert.deepEqual(await notify(stub, changes), { status: 'ERROR', message });
      assert.equal(dispatcher.batches.length, 0);
    });

  it('answers only when the broker has the event', async () => {
    const held = Promise.withResolvers<ServerResponse>();
    dispatcher.onBatch = (_events, response) => held.resolve(response);
    let isAnswered = false;
    const answered = notify(stub).finally(() => {
      isAnswered = true;
    });
    const response = await held.promise;
    // A call made later, and answered, shows that this one could have been.
    assert.equal((await notify(stub, { client_id: '' })).status, 'ERROR');
    assert.equal(isAnswered, false);
    answer(response);
    assert.deepEqual(await answered, OK);
  });

  it('answers ERROR with the reason when the event did not get to a listener', async () => {
    dispatcher.onBatch = (events, response) =>
      answer(response, { unroutable: events.map(({ correlationid }) => correlationid) });
    assert.deepEqual(await notify(stub), {
      status: 'ERROR',
      message: 'no listener takes events of type NewClientRequest',
    });
    dispatcher.onBatch = (events, response) =>
      answer(response, { unknown: events.map(({ correlationid }) => correlationid) });
    assert.deepEqual(await notify(stub), {
      status: 'ERROR',
      message: 'the broker did not confirm the event',
    });
  });

  it('does not send the event of a call that was cancelled before', async () => {
    const held: ServerResponse[] = [];
    dispatcher.onBatch = (_events, response) => held.push(response);
    const waiting: Promise<Answer>[] = [];
    for (let index = 0; index < MAX_PARTIAL_BATCHES_IN_FLIGHT; index += 1) {
      waiting.push(notify(stub)); // every place for a batch that is not full is taken
      await dispatcher.batch(index);
    }
    let call: ClientUnaryCall | undefined;
    const metadata = new Metadata();
    const cancelled = answerOf((callback) => {
      call = stub.NotifyNewClient({ ...client, client_id: 'cancelled' }, metadata, callback);
    });
    // Calls of one connection are taken in order.
    assert.equal((await notify(stub, { client_id: '' })).status, 'ERROR');
    call?.cancel();
    await assert.rejects(cancelled, { details: /Cancelled/ });
    // In a second with many lines it is only counted.
    await publicWeb.waitForLog(
      ({ outcome, left_out }) =>
        outcome === 'client-gone' || 'client-gone' in ((left_out ?? {}) as Record<string, number>),
    );
    dispatcher.onBatch = confirmAll;
    for (const response of held) answer(response);
    for (const answered of waiting) assert.deepEqual(await answered, OK);
    assert.deepEqual(await notify(stub), OK);
    const sent = dispatcher.batches.flat().map(({ data }) => (data as typeof client).client_id);
    assert.deepEqual(sent, Array(MAX_PARTIAL_BATCHES_IN_FLIGHT + 1).fill('user123'));
  });

  it('has no streams of events where no type of theirs is public', async (t) => {
    const { grpcPort } = publicWeb.logs.find(({ msg }) => msg === 'listening') ?? {};
    const client = createNimbusStranger(`127.0.0.1:${grpcPort}`);
    t.after(client.close);
    await assert.rejects(Array.fromAsync(client.open({ client_id: 'one' })), { code: status.UNIMPLEMENTED });
  });

  it('refuses a message over 16 kB', async () => {
    await assert.rejects(notify(stub, { amqp_pass: 'p'.repeat(70_000) }), { code: 8 });
  });

  it('answers HealthCheck, grpc.health.v1 and reflection', async () => {
    assert.deepEqual(await answerOf((callback) => stub.HealthCheck({}, callback)), {
      status: 'SERVING',
      message: 'Data dispatcher service is healthy',
    });
    const asIs = (bytes: Buffer) => bytes;
    const health = await new Promise<Buffer | undefined>((resolve, reject) =>
      stub.makeUnaryRequest('/grpc.health.v1.Health/Check', asIs, asIs, Buffer.alloc(0), (error, value) =>
        error ? reject(error) : resolve(value),
      ),
    );
    // Field 1 is 1, SERVING.
    assert.deepEqual([...(health ?? [])], [8, 1]);
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const stream = stub.makeBidiStreamRequest(path, asIs, asIs);
    // Field 7, list_services.
    stream.end(Buffer.from([0x3a, 1, 0x2a]));
    let services = '';
    for await (const message of stream) services += message;
    assert.match(services, /data_dispatcher_service\.DataDispatcherService/);
  });
});

describe('public-web, as its gRPC callers see it', () => {
  const cleanUp: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of cleanUp.splice(0).reverse()) await close();
    for (const open of stubs) open.close();
  });

  async function start(onBatch: Dispatcher['onBatch'], env: Record<string, string> = {}): Promise<Stub> {
    dispatcher = await startDispatcher({ onBatch });
    publicWeb = await startPublicWeb([dispatcher], { ...dataDispatchEnv, ...env });
    cleanUp.push(dispatcher.close, () => publicWeb.stop('SIGKILL'));
    return connect(publicWeb);
  }

  it('refuses callers by the gRPC status who show no API key, or one that permits no clients', async () => {
    const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
    const API_KEYS = JSON.stringify([
      { id: 'backend', hash: hashOf('canary-key-of-backend'), clients: true, rate: 0.001, burst: 2 },
      { id: 'pinger', hash: hashOf('canary-key-of-pinger') },
    ]);
    const stub = await start(confirmAll, { API_KEYS });
    const showing = (name: string, value: string) => {
      const metadata = new Metadata();
      metadata.set(name, value);
      return notify(stub, {}, metadata);
    };
    const unauthenticated = { code: status.UNAUTHENTICATED, details: 'the API key is unknown' };
    await assert.rejects(notify(stub), { code: status.UNAUTHENTICATED, details: 'an API key is needed' });
    await assert.rejects(showing('authorization', 'Bearer wrong'), unauthenticated);
    await assert.rejects(showing('authorization', 'Bearer canary-key-of-pinger'), {
      code: status.PERMISSION_DENIED,
    });
    assert.equal(dispatcher.batches.length, 0);
    assert.deepEqual(await showing('authorization', 'Bearer canary-key-of-backend'), OK);
    assert.deepEqual(await showing('x-api-key', 'canary-key-of-backend'), OK);
    await assert.rejects(showing('x-api-key', 'canary-key-of-backend'), { code: status.RESOURCE_EXHAUSTED });
    const healthy = await answerOf((callback) => stub.HealthCheck({}, callback));
    assert.equal(healthy.status, 'SERVING');
    const line = await publicWeb.waitForLog(({ event_type }) => event_type === 'NewClientRequest');
    assert.equal(line.api_key_id, 'backend');
    assert.ok(!JSON.stringify([publicWeb.logs, dispatcher.batches]).includes('canary-key'));
  });

  it('limits callers by their address where RATE_LIMIT says so', async () => {
    const stub = await start(confirmAll, { RATE_LIMIT: '1' });
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => notify(stub)));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    assert.ok(refused.length >= 20 && refused.length < 40, String(refused.length));
    for (const { reason } of refused) assert.equal(reason.code, status.RESOURCE_EXHAUSTED);
  });

  it('answers ERROR when no dispatcher takes the event', async () => {
    const stub = await start(refuse('not-accepted'));
    const error = { status: 'ERROR', message: 'no dispatcher takes the event now' };
    assert.deepEqual(await notify(stub), error);
  });

  it('answers ERROR when the deadline passes', async () => {
    const stub = await start(hang, { DEADLINE_MS: '1000' });
    assert.deepEqual(await notify(stub), { status: 'ERROR', message: 'no reply within 1000 ms' });
  });

  it('answers the calls under way when it is told to stop, and exits 0', async () => {
    const held = Promise.withResolvers<ServerResponse>();
    const stub = await start((_events, response) => held.resolve(response));
    const answered = notify(stub);
    const response = await held.promise;
    const stopping = publicWeb.stop();
    await publicWeb.waitForLog(({ msg }) => msg === 'stopping');
    answer(response);
    assert.deepEqual(await answered, OK);
    assert.deepEqual(await stopping, { code: 0, signal: null });
  });

  it("starts a trace of its own, links the caller's, and shows neither password nor key in it", async () => {
    const receiver = await startOtlpReceiver();
    cleanUp.push(receiver.close);
    const key = {
      id: 'backend',
      hash: `sha256:${createHash('sha256').update(`key-${CANARY}`).digest('hex')}`,
      clients: true,
    };
    const stub = await start(confirmAll, { ...receiver.env, API_KEYS: JSON.stringify([key]) });
    const metadata = new Metadata();
    const theirs = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
    metadata.set('authorization', `Bearer key-${CANARY}`);
    metadata.set('traceparent', `00-${theirs.traceId}-${theirs.spanId}-01`);
    assert.deepEqual(await notify(stub, {}, metadata), OK);
    const named = (name: string) => receiver.spans().find((span) => span.name.endsWith(name));
    const server = await receiver.waitFor(() => named('DataDispatcherService/NotifyNewClient'));
    const send = await receiver.waitFor(() => named('send NewClientRequest'));
    assert.deepEqual([server.kind, server.parentSpanId], ['server', undefined]);
    assert.notEqual(server.traceId, theirs.traceId);
    assert.deepEqual(server.links, [theirs]);
    assert.deepEqual([send.traceId, send.parentSpanId], [server.traceId, server.spanId]);
    const { traceparent } = dispatcher.batches.flat()[0] ?? {};
    assert.equal(traceparent, `00-${server.traceId}-${send.spanId}-01`);
    const log = await receiver.waitFor(() => receiver.logs().find(({ body }) => body === 'event answered'));
    assert.equal(log.traceId, server.traceId);
    await eventually(() => assert.ok(receiver.metricNames().includes('waybill.events')));
    const text = (value: unknown) =>
      JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}` : item));
    assert.ok(!text([receiver.spans(), receiver.logs()]).includes(CANARY));
  });
});
