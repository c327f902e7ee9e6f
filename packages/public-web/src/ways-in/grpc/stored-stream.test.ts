/** Streams of events where there is a store: what their clients miss waits for them, on any instance. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type ClientDuplexStream, credentials, Metadata, status } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { EventRequest } from '@waybill/common/grpc/generated/nimbus/EventRequest.ts';
import type { EventResponse__Output as EventResponse } from '@waybill/common/grpc/generated/nimbus/EventResponse.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import {
  createNimbusStranger,
  type NimbusRequest,
  type NimbusStream,
  take,
} from '@waybill/test-harness/nimbus-stranger.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { pino } from 'pino';
import { createAdmit } from '../../admission/admission.ts';
import { type Instance, reply, startInstance } from '../../clients/sessions.fixture.ts';
import { startStore } from '../../public-web.fixture.ts';
import { createGrpcApp } from './grpc-app.ts';

const log = pino({ level: 'silent' });
const { NimbusService } = loadPackage('nimbus.proto').nimbus;

/** An instance with its gRPC port, and a network before it. */
type Edge = { instance: Instance; address: string; proxy: TcpProxy /** Past the network. */; direct: string };

describe('a stream of events, at a store', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-streams-'));
  const cleanUp: (() => unknown)[] = [];
  let store: Service;
  let one: Edge;
  let other: Edge;
  before(async () => {
    store = await startStore(folder);
    one = await startEdge();
    other = await startEdge();
  });
  after(async () => {
    for (const close of cleanUp.reverse()) await close();
    await store.stop();
    rmSync(folder, { recursive: true });
  });

  async function startEdge(options = {}): Promise<Edge> {
    const instance = startInstance(`grpc ${randomUUID()}`, store, options);
    const { port, close } = await createGrpcApp({
      admit: createAdmit({ apiKeys: undefined, addressRate: 0 }),
      acceptClient: undefined,
      site: undefined,
      streams: { sessions: instance.sessions, maxStreams: 100, maxUnderWay: 100 },
      deadlineMs: 1,
      readiness: () => undefined,
      log,
      host: '127.0.0.1',
      port: 0,
      maxConnections: 100,
    });
    const proxy = await startTcpProxy({ target: `http://127.0.0.1:${port}` });
    cleanUp.push(
      () => close(0),
      proxy.close,
      () => instance.sessions.drain(),
    );
    return { instance, address: `127.0.0.1:${proxy.port}`, proxy, direct: `127.0.0.1:${port}` };
  }

  /** A stream of a client that knows the contract alone. */
  function open(t: TestContext, { address }: Edge, client_id: string): NimbusStream {
    const client = createNimbusStranger(address);
    t.after(client.close);
    return client.open({ client_id });
  }

  /** A stream of a client that acknowledges by tokens. */
  function openWithToken(t: TestContext, { address }: Edge, client_id: string, token = '') {
    const client = new NimbusService(address, credentials.createInsecure());
    t.after(() => client.close());
    const metadata = new Metadata();
    metadata.set('client_id', client_id);
    metadata.set('token', token);
    const stream: ClientDuplexStream<EventRequest, EventResponse> = client.ProcessEvent(metadata);
    return stream.on('error', () => {});
  }

  /** What an instance has sent, once it has sent these numbers. */
  const sentBy = ({ instance }: Edge, numbers: number[]): Promise<CloudEvent[]> =>
    eventually(() => {
      const sent = instance.sent.slice(-numbers.length);
      assert.deepEqual(
        sent.map(({ data }) => (data as { number: number }).number),
        numbers,
      );
      return sent;
    });

  /** Replies with the squares, the last one first, as a dispatcher does. */
  function square(events: CloudEvent[]): Promise<void> {
    const answered = events.toReversed().map((event) => {
      const { number } = event.data as { number: number };
      return { ...event, data: { ...(event.data as object), result: number * number } };
    });
    return reply(store, [one.instance, other.instance], answered);
  }

  const send = (stream: { write(request: NimbusRequest): unknown }, ...numbers: number[]) => {
    for (const number of numbers) stream.write({ event_name: 'sq', number });
  };
  const numbersOf = (answers: { number: number }[]) => answers.map(({ number }) => number);

  it('gives its client what it has missed after its connection was cut, on another instance, in order', async (t) => {
    const client = randomUUID();
    const stream = open(t, one, client);
    send(stream, 1, 2, 3, 4, 5);
    const events = await sentBy(one, [1, 2, 3, 4, 5]);
    await square(events.slice(0, 2));
    assert.deepEqual(numbersOf(await take(stream, 2)), [1, 2]);
    one.proxy.reset();
    await square(events.slice(2));
    const again = open(t, other, client);
    const answers: number[] = [];
    while (answers.at(-1) !== 5) answers.push(...numbersOf(await take(again, 1)));
    // What it had may come once more, if the receipt did not get through.
    assert.deepEqual(answers, [1, 2, 3, 4, 5].slice(-answers.length));
    assert.ok(answers.length >= 3);
  });

  it('takes nothing for received that has only left for its client', async (t) => {
    const client = randomUUID();
    const stream = open(t, one, client);
    send(stream, 1, 2);
    const events = await sentBy(one, [1, 2]);
    one.proxy.setFault({ drop: 'to-client' });
    t.after(() => one.proxy.setFault({}));
    await square(events);
    // What a witness has received later is acknowledged, and so would be what has left before.
    const witness = randomUUID();
    const watched = open(t, { ...one, address: one.direct }, witness);
    send(watched, 3);
    await square(await sentBy(one, [3]));
    await take(watched, 1);
    await eventually(async () => {
      const look = openWithToken(t, other, witness);
      const [metadata] = (await once(look, 'metadata')) as [Metadata];
      assert.deepEqual(metadata.get('backlog'), ['0']);
    });
    const again = open(t, other, client);
    assert.deepEqual(numbersOf(await take(again, 2)), [1, 2]);
  });

  it('gives a client that shows a token exactly what came after it, and says how much that is', async (t) => {
    const client = randomUUID();
    const stream = openWithToken(t, one, client);
    send(stream, 1, 2, 3, 4);
    await square(await sentBy(one, [1, 2, 3, 4]));
    const answers = await Array.fromAsync(takeOf(stream, 4));
    const token = answers[1]?.token ?? '';
    stream.cancel();
    const again = openWithToken(t, other, client, token);
    const [metadata] = (await once(again, 'metadata')) as [Metadata];
    assert.deepEqual(metadata.get('backlog'), ['2']);
    assert.deepEqual(metadata.get('token'), [token]);
    const missed = await Array.fromAsync(takeOf(again, 2));
    assert.deepEqual(missed, answers.slice(2));
    const trailer = once(again, 'status') as Promise<[{ metadata: Metadata }]>;
    again.end();
    await Array.fromAsync(again);
    assert.deepEqual((await trailer)[0].metadata.get('token'), [missed.at(-1)?.token]);
  });

  it('lets a client acknowledge by a token, alone or with an event', async (t) => {
    const client = randomUUID();
    const stream = openWithToken(t, one, client);
    send(stream, 1, 2, 3);
    await square(await sentBy(one, [1, 2, 3]));
    const [first, second] = await Array.fromAsync(takeOf(stream, 3));
    stream.write({ token: first?.token });
    stream.write({ event_name: 'sq', number: 4, token: second?.token });
    const [fourth] = await sentBy(one, [4]);
    await square([fourth as CloudEvent]);
    assert.deepEqual(numbersOf(await Array.fromAsync(takeOf(stream, 1))), [4]);
    stream.end();
    await Array.fromAsync(stream);
    await eventually(async () => {
      // It acknowledges nothing by itself: what the first look brings too much comes to the next one again.
      const again = openWithToken(t, other, client);
      const answers = numbersOf(await Array.fromAsync(takeOf(again, 2)));
      again.cancel();
      assert.deepEqual(answers, [3, 4]);
    });
  });

  it('ends with INVALID_ARGUMENT for what is no token', async (t) => {
    const stream = openWithToken(t, one, randomUUID());
    stream.write({ event_name: 'sq', number: 1, token: 'x.1' });
    await assert.rejects(Array.fromAsync(stream), { code: status.INVALID_ARGUMENT });
    await assert.rejects(Array.fromAsync(openWithToken(t, one, randomUUID(), 'nonsense')), {
      code: status.INVALID_ARGUMENT,
    });
  });

  it('names the request that a problem answers, on another instance too', async (t) => {
    const client = randomUUID();
    one.instance.outcome = ({ type }) =>
      type === 'nimbus.sq' ? undefined : new AppError('unroutable', 'nobody');
    t.after(() => {
      one.instance.outcome = () => undefined;
    });
    const stream = open(t, one, client);
    send(stream, 1);
    stream.write({ event_name: 'No such name', number: -2 });
    const [event] = await sentBy(one, [1]);
    stream.cancel();
    await square([event as CloudEvent]);
    const [first, second] = await Array.fromAsync(takeOf(openWithToken(t, other, client), 2));
    assert.equal(first?.result, 1);
    const { event_name, number, problem } = second as EventResponse;
    assert.deepEqual([event_name, number, problem?.code], ['No such name', -2, 'unroutable']);
  });

  it('ends with ABORTED when its client connects once more, and gives the other what comes', async (t) => {
    const client = `${randomUUID()} with spaces, and @`;
    const stream = open(t, one, client);
    send(stream, 11);
    const events = await sentBy(one, [11]);
    const again = open(t, one, client);
    await assert.rejects(Array.fromAsync(stream), { code: status.ABORTED });
    await square(events);
    assert.deepEqual(numbersOf(await take(again, 1)), [11]);
  });

  it('ends with ABORTED also when there is more to be read from its client', async (t) => {
    const edge = await startEdge();
    const client = randomUUID();
    const stream = open(t, edge, client);
    // More than may be under way.
    const numbers = Array.from({ length: 110 }, (_, index) => index);
    send(stream, ...numbers);
    await sentBy(edge, numbers.slice(0, 100));
    open(t, edge, client);
    await assert.rejects(Array.fromAsync(stream), { code: status.ABORTED });
  });

  it('waits a while for a store that is away', async (t) => {
    let failures = 2;
    const edge = await startEdge();
    const { attach } = edge.instance.sessions;
    edge.instance.sessions.attach = (options) => {
      failures -= 1;
      if (failures >= 0) throw new AppError('not-accepted', 'no store answers now');
      return attach(options);
    };
    const stream = open(t, edge, randomUUID());
    send(stream, 21);
    const [event] = await sentBy(edge, [21]);
    await reply(store, [edge.instance], [{ ...(event as CloudEvent), data: { result: 441 } }]);
    assert.deepEqual(await take(stream, 1), [{ event_name: 'sq', number: 21, result: 441 }]);
  });

  it('takes no more while the mailbox is full, until its client has read some', async (t) => {
    const edge = await startEdge({ maxEntries: 4 });
    const stream = open(t, edge, randomUUID());
    const numbers = Array.from({ length: 12 }, (_, index) => index + 1);
    send(stream, ...numbers);
    const answers: number[] = [];
    for (let sent = 0; sent < 12; ) {
      await eventually(() => assert.ok(edge.instance.sent.length > sent));
      const events = edge.instance.sent.slice(sent);
      sent += events.length;
      await reply(
        store,
        [edge.instance],
        events.map((event) => ({ ...event, data: { ...(event.data as object), result: 0 } })),
      );
      answers.push(...numbersOf(await take(stream, events.length)));
    }
    assert.deepEqual(answers, numbers);
  });

  it('ends with UNAVAILABLE when its instance stops, and its client goes on at another one', async (t) => {
    const edge = await startEdge();
    const client = randomUUID();
    const stream = open(t, edge, client);
    send(stream, 1);
    const events = await sentBy(edge, [1]);
    void edge.instance.sessions.drain();
    await assert.rejects(Array.fromAsync(stream), { code: status.UNAVAILABLE });
    await square(events);
    assert.deepEqual(numbersOf(await take(open(t, other, client), 1)), [1]);
  });

  it('ends with UNAVAILABLE when its instance stops before it has answered a client that sends no more', async (t) => {
    const edge = await startEdge();
    const stream = open(t, edge, randomUUID());
    send(stream, 1);
    stream.end();
    await sentBy(edge, [1]);
    void edge.instance.sessions.drain();
    await assert.rejects(Array.fromAsync(stream), { code: status.UNAVAILABLE });
  });
});

async function* takeOf<T>(stream: ClientDuplexStream<EventRequest, T>, count: number): AsyncGenerator<T> {
  let left = count;
  for await (const answer of stream.iterator({ destroyOnReturn: false })) {
    yield answer as T;
    left -= 1;
    if (left === 0) return;
  }
}
