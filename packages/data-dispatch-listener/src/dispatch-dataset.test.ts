import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type connect as connectTcp, createServer } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import {
  createCredentialsOpener,
  createCredentialsSealer,
} from '@waybill/common/credentials/sealed-credentials.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { HandlerContext, HandlerResult } from '@waybill/listener/handler.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type ChannelModel, connect } from 'amqplib';
import { pino } from 'pino';
import { makePrivateKey, publicKeyOf } from '../../../bin/plain/sealing-keys.mjs';
import { createEmbeddedBroker } from '../../embedded-broker/src/create-embedded-broker.ts';
import { type ClientConnections, createClientConnections } from './client-connections.ts';
import { type DatasetServiceFixture, startDatasetService } from './dataset-service.fixture.ts';
import { createDatasetSource, type DatasetSource } from './dataset-source.ts';
import type { DatasetStream } from './dataset-stream.ts';
import { createDispatchDataset, type DispatchDatasetOptions } from './dispatch-dataset.ts';

const BATCHES = 40;
const log = pino({ level: 'silent' });
const key = makePrivateKey() as never;
const sealer = createCredentialsSealer(publicKeyOf(key) as never);
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('dispatching a dataset', () => {
  let broker: TestBroker;
  let service: DatasetServiceFixture;
  let source: DatasetSource;
  let connections: ClientConnections;
  let model: ChannelModel;
  let queue: string;
  before(async () => {
    broker = await freshBroker();
    const { hostname, port } = new URL(broker.url);
    model = await connect({ hostname, port: Number(port) });
    model.on('error', () => {});
  });
  beforeEach(async () => {
    queue = randomUUID();
    service = await startDatasetService({ batches: BATCHES, bytes: 1_000 });
    source = createDatasetSource({ address: service.address, maxRetries: 0 });
    connections = createClientConnections();
  });
  afterEach(async () => {
    await connections.close();
    source.close();
    service.stop();
    const channel = await model.createChannel();
    await channel.deleteQueue(queue);
    await channel.close();
  });
  after(async () => {
    breakConnection(model, new Error('the test is over'));
    await broker.close();
  });

  const address = () => {
    const { hostname, port } = new URL(broker.url);
    return { host: hostname, port: Number(port), isTls: false };
  };

  function createHandler(options: Partial<DispatchDatasetOptions> = {}) {
    const handle = createDispatchDataset({
      source,
      connections,
      credentials: createCredentialsOpener([key]),
      allowedBrokers: [address()],
      dataset: { name: 'test', batchSize: 30 },
      maxRetries: 0,
      maxReady: 1_000,
      maxPauseMs: 60_000,
      ...options,
    });
    return async (event: CloudEvent, context: Partial<HandlerContext> = {}): Promise<HandlerResult> => {
      const never = new AbortController().signal;
      const given = { signal: never, stopping: never, attempt: 1, log, ...context } as HandlerContext;
      return ((await handle(event, given)) ?? {}) as HandlerResult;
    };
  }

  async function newClient({ port = address().port, sealedFor = queue } = {}): Promise<CloudEvent> {
    const use = { client_id: 'user123', queue_name: queue, amqp_host: address().host, amqp_port: port };
    const credentials = await sealer.seal({ user: 'guest', pass: 'guest', ...use, queue_name: sealedFor });
    return {
      specversion: '1.0',
      id: randomUUID(),
      source: '/test',
      type: 'NewClientRequest',
      time: new Date().toISOString(),
      data: { ...use, credentials },
    };
  }

  /** The event that a result leads to. */
  function next({ events }: HandlerResult): CloudEvent & { data: DatasetStream } {
    const [event] = events ?? [];
    assert.ok(event, 'nothing follows');
    return {
      specversion: '1.0',
      source: '/test',
      ...event,
      id: String(event.id),
      data: event.data as DatasetStream,
    };
  }

  async function indexes(): Promise<number[]> {
    const channel = await model.createChannel();
    const found = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) break;
      found.push(message.properties.headers?.batch_index);
    }
    await channel.close();
    return found;
  }

  it('sends a chunk and leaves the rest to a continuation, until nothing follows', async () => {
    const handle = createHandler();
    const event = await newClient();
    const first = await handle(event);
    assert.equal(next(first).id, `${event.id}/32`);
    assert.equal(first.events?.[0]?.delayMs, undefined);
    assert.equal((await handle(next(first))).events, undefined);
    assert.deepEqual(await indexes(), range(BATCHES));
  });

  it('does not send again what it knows to be done, wherever a second chain was cut', async () => {
    const handle = createHandler();
    const event = await newClient();
    const first = await handle(event);
    first.onConfirmed?.();
    const cutElsewhere = next(first);
    cutElsewhere.data = { ...cutElsewhere.data, nextIndex: 20 };
    await indexes();
    for (const again of [event, cutElsewhere]) assert.equal((await handle(again)).events, undefined);
    const second = await handle(next(first));
    second.onConfirmed?.();
    assert.deepEqual(await indexes(), range(BATCHES).slice(32));
    for (const again of [event, cutElsewhere, next(first)])
      assert.equal((await handle(again)).events, undefined);
    assert.deepEqual(await indexes(), []);
  });

  it('ends a second copy of an event when the first is done', async () => {
    const handle = createHandler();
    const event = await newClient();
    const first = handle(event);
    const second = handle(event);
    (await first).onConfirmed?.();
    assert.equal((await second).events, undefined);
    assert.deepEqual(await indexes(), range(32));
  });

  it('is patient with a queue that refuses messages, and goes on one by one', async () => {
    const channel = await model.createChannel();
    const full = { 'x-max-length': 5, 'x-overflow': 'reject-publish' };
    await channel.assertQueue(queue, { durable: true, arguments: full });
    await channel.close();
    const handle = createHandler();
    let result = await handle(await newClient());
    const seen = new Set<number>();
    for (let round = 0; result.events; round += 1) {
      assert.ok(round < BATCHES, 'no progress');
      assert.equal(next(result).data.isOneByOne, true);
      assert.equal(result.events[0]?.delayMs, 1_000);
      for (const index of await indexes()) seen.add(index);
      result = await handle(next(result));
    }
    for (const index of await indexes()) seen.add(index);
    assert.deepEqual(
      [...seen].toSorted((a, b) => a - b),
      range(BATCHES),
    );
  });

  it('hands over when the process is asked to stop while the dataset service hangs', async () => {
    const handle = createHandler();
    const stopping = new AbortController();
    service.setFault('hang');
    const event = await newClient();
    const handled = handle(event, { stopping: stopping.signal });
    await eventually(() => assert.ok(service.calls.length > 0));
    stopping.abort();
    const result = await handled;
    assert.deepEqual([next(result).data.nextIndex, result.events?.[0]?.delayMs], [0, undefined]);
  });

  it('leaves no queue behind for a dataset that there is not', async () => {
    const handle = createHandler({ dataset: { name: 'nope', batchSize: 30 } });
    await assert.rejects(handle(await newClient()), { code: 'dataset-not-found' });
    const channel = await model.createChannel();
    channel.on('error', () => {});
    await assert.rejects(channel.checkQueue(queue), /404/);
  });

  it('pauses while the queue of the client is full, and gives up when nobody takes anything for too long', async () => {
    const handle = createHandler({ maxReady: 5, maxPauseMs: 200 });
    const first = await handle(await newClient());
    const paused = await handle(next(first));
    paused.onConfirmed?.();
    assert.equal(paused.events?.[0]?.delayMs, 1_000);
    assert.equal(next(paused).id, next(first).id);
    const later = next(paused);
    const since = new Date(Date.now() - 1_000).toISOString();
    later.data = { ...later.data, pause: { since, ready: 32 } };
    await assert.rejects(handle(later), { code: 'client-queue-full' });
    // The client has taken some since.
    later.data = { ...later.data, pause: { since, ready: 33 } };
    const again = await handle(later);
    again.onConfirmed?.();
    assert.ok(Date.parse(String(next(again).data.pause?.since)) > Date.parse(since));
    await indexes();
    assert.equal((await handle(later)).events, undefined);
    assert.deepEqual(await indexes(), range(BATCHES).slice(32));
  });

  const streams: Record<string, Record<string, unknown>> = {
    'a stream': {},
    'a stream with every argument it can have': {
      'x-max-age': '1h',
      'x-max-length-bytes': 20_000_000,
      'x-stream-max-segment-size-bytes': 1_000_000,
      'x-initial-cluster-size': 1,
      'x-queue-leader-locator': 'client-local',
    },
  };
  for (const [name, args] of Object.entries(streams))
    it(`does not wait for ${name}, which keeps what its client has read`, {
      skip: rabbitmqMissing,
    }, async () => {
      const channel = await model.createConfirmChannel();
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'stream', ...args } });
      for (const index of range(10)) channel.sendToQueue(queue, Buffer.from(`retained ${index}`));
      await channel.waitForConfirms();
      await eventually(async () => assert.ok((await channel.checkQueue(queue)).messageCount > 5));
      const handle = createHandler({ maxReady: 5 });
      const first = await handle(await newClient());
      assert.deepEqual([next(first).data.nextIndex, next(first).data.pause], [32, undefined]);
      assert.equal((await handle(next(first))).events, undefined);
      await channel.close();
    });

  const queues: Record<string, Record<string, unknown>> = {
    'a queue that could be taken for a stream': { 'x-max-length-bytes': 20_000_000 },
    'a quorum queue': { 'x-queue-type': 'quorum', 'x-max-length-bytes': 20_000_000, 'x-delivery-limit': 5 },
  };
  for (const [name, args] of Object.entries(queues))
    it(`waits for ${name}`, async () => {
      const channel = await model.createConfirmChannel();
      await channel.assertQueue(queue, { durable: true, arguments: args });
      for (const index of range(10)) channel.sendToQueue(queue, Buffer.from(`waiting ${index}`));
      await channel.waitForConfirms();
      await eventually(async () => assert.equal((await channel.checkQueue(queue)).messageCount, 10));
      const paused = await createHandler({ maxReady: 5 })(await newClient());
      assert.equal(next(paused).data.pause?.ready, 10);
      await channel.close();
    });

  it('lets few at once try a broker that does not answer, and has the others wait', async () => {
    const sockets = new Set<ReturnType<typeof connectTcp>>();
    const silent = createServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const handle = createHandler({ allowedBrokers: [{ ...address(), port }] });
    const event = await newClient({ port });
    await assert.rejects(handle(event), { code: 'client-queue-unavailable' });
    const tries = range(6).map(async () => handle(await newClient({ port })).catch((error) => error.code));
    const paused = (await Promise.all(tries)).filter((result) => typeof result !== 'string');
    assert.equal(paused.length, 2);
    for (const result of paused) {
      assert.equal(result.events?.[0]?.delayMs, 1_000);
      assert.ok(!next(result).data.isOneByOne);
    }
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it('waits for a broker that blocks publishers, writes nothing to it meanwhile, and goes on after it', async () => {
    const blocked = await createEmbeddedBroker();
    const { port } = blocked;
    const handle = createHandler({ allowedBrokers: [{ ...address(), port }] });
    blocked.setMemoryLimitBytes(0);
    const first = await handle(await newClient({ port }));
    assert.equal(first.events?.[0]?.delayMs, 1_000);
    const sent = blocked.queues()[queue]?.ready ?? 0;
    const second = await handle(next(first));
    assert.equal(second.events?.[0]?.delayMs, 1_000);
    assert.equal(blocked.queues()[queue]?.ready ?? 0, sent);
    for (const result of [first, second]) assert.ok(!next(result).data.isOneByOne, 'one by one');
    second.onConfirmed?.();
    blocked.setMemoryLimitBytes(512 * 1024 * 1024);
    await eventually(async () => {
      const later = await handle(next(second));
      later.onConfirmed?.();
      assert.notEqual(later.events?.[0]?.delayMs, 1_000);
    });
    assert.ok((blocked.queues()[queue]?.ready ?? 0) >= 32);
    await connections.close();
    await blocked.close();
  });

  it('refuses a broker that is not allowed, and credentials that were sealed for another queue', async () => {
    const handle = createHandler();
    await assert.rejects(handle(await newClient({ port: 1 })), { code: 'broker-not-allowed' });
    await assert.rejects(handle(await newClient({ sealedFor: 'other' })), { code: 'invalid-request' });
  });

  it('refuses an event that no edge makes', async () => {
    const handle = createHandler();
    const event = await newClient();
    await assert.rejects(handle({ ...event, data: { client_id: 'user123' } }), { code: 'invalid-request' });
    const continuation = { ...event, type: 'waybill.DatasetContinuation' };
    await assert.rejects(handle(continuation), { code: 'invalid-request' });
  });
});
