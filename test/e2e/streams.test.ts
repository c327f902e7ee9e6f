/**
 * Contract 4: clients that know its tables alone, over two public-webs, two dispatchers and two listeners, at each store.
 *
 * `STREAM_CLIENTS=200 STREAM_EVENTS=1000 npm test -- test/e2e/streams.test.ts` is the large run.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '@waybill/test-harness/free-port.ts';
import {
  createNimbusStranger,
  type NimbusResponse,
  type NimbusStranger,
  type NimbusStream,
  take,
} from '@waybill/test-harness/nimbus-stranger.ts';
import { needsPostgresql, type Postgresql, startPostgresql } from '@waybill/test-harness/postgresql.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { grpcAddressOf, INTERNAL_SECRETS, type System, startSystem } from './system.ts';

const CLIENTS = Number(process.env.STREAM_CLIENTS ?? 12);
const EVENTS = Number(process.env.STREAM_EVENTS ?? 60);

describe('gRPC streams at SQLite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-streams-'));
  after(() => rmSync(folder, { recursive: true }));
  streamsAt(1, async () => `sqlite:${folder}/store.db`);
});

describe('gRPC streams at PostgreSQL, by two stores', { skip: needsPostgresql() }, () => {
  let server: Postgresql | undefined;
  after(() => server?.stop());
  streamsAt(2, async () => {
    server = await startPostgresql();
    return server.url;
  });
});

function streamsAt(storeCount: number, startDatabase: () => Promise<string>): void {
  let broker: TestBroker;
  let system: System;
  let stores: Service[];
  let startStore: (index: number) => Promise<Service>;
  let network: TcpProxy;
  let clients: NimbusStranger[];
  before(async () => {
    const ports = await Promise.all(Array.from({ length: storeCount }, freePort));
    const [database, fresh] = await Promise.all([startDatabase(), freshBroker()]);
    broker = fresh;
    startStore = (index) =>
      startService({
        name: 'store',
        env: { INTERNAL_SECRETS, PORT: String(ports[index]), DATABASE_URL: database },
      });
    stores = await Promise.all(ports.map((_port, index) => startStore(index)));
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'public-web': 2, dispatcher: 2, 'square-listener': 2, 'ping-listener': 0 },
      env: {
        PUBLIC_EVENT_TYPES: 'nimbus.sq',
        STORE_URLS: ports.map((port) => `http://127.0.0.1:${port}`).join(','),
      },
    });
    const [one, other] = system.publicWebs as [Service, Service];
    network = await startTcpProxy({ target: `http://${grpcAddressOf(one)}` });
    clients = [`127.0.0.1:${network.port}`, grpcAddressOf(one), grpcAddressOf(other)].map(
      createNimbusStranger,
    );
  });
  after(async () => {
    for (const { close } of clients) close();
    await network.close();
    await system.stop();
    await Promise.all(stores.map((store) => store.stop()));
    await broker.close();
  });

  it('give a client that sends 1 to 10 the squares', async () => {
    const stream = open(0, 'one');
    send(stream, upTo(10));
    stream.end();
    const results = (await Array.fromAsync(stream)).map(({ result }) => result);
    assert.deepEqual(results, [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]);
  });

  it('give each of many clients its own results, in order, and one that was cut off what it missed, on the other instance, while one of every tier behind is killed', {
    timeout: 180_000 + 10 * CLIENTS * EVENTS,
  }, async () => {
    const cutOff = open(0, 'cut off');
    const third = Math.floor(EVENTS / 3);
    send(cutOff, upTo(third));
    await take(cutOff, third);
    // What it sends from here on is taken, and nothing of what comes of it gets through.
    network.setFault({ drop: 'to-client' });
    send(cutOff, upTo(EVENTS).slice(third));
    await system.publicWebs[0]?.waitForLog(
      ({ event_id }) => String(event_id).startsWith(`SQ/${EVENTS}/`),
      60_000,
    );
    // The others are on both instances, past the network that is cut.
    const streams = upTo(CLIENTS).map((client) => open(1 + (client % 2), `client ${client}`));
    // Each is attached before the first sends: what follows is what the store has to do for events.
    await Promise.all(streams.map((stream) => once(stream, 'metadata')));
    const others = streams.map(async (stream, index) => {
      const numbers = upTo(EVENTS).map((number) => index * 100 + number);
      send(stream, numbers);
      stream.end();
      assertSquares(await Array.fromAsync(stream), numbers);
    });
    const all = Promise.all(others);
    const killed = killOneOfEach();
    // Told at the end.
    for (const each of [all, killed]) each.catch(() => {});
    network.reset();
    const again = open(2, 'cut off');
    const missed: NimbusResponse[] = [];
    while (missed.at(-1)?.number !== EVENTS) missed.push(...(await take(again, 1)));
    // Of what it knows, what was on its way back as a receipt may come once more.
    const first = missed[0]?.number ?? 0;
    assert.ok(first > 0 && first <= third + 1, `${first} after ${third}`);
    assertSquares(missed, upTo(EVENTS).slice(first - 1));
    await Promise.all([all, killed]);
  });

  /** The only store is started again. Of public-webs that are killed the schedules of faults tell. */
  async function killOneOfEach(): Promise<void> {
    for (const service of [system.dispatchers[0], system.squareListeners[0]])
      if (service) await system.kill(service);
    await stores[0]?.stop('SIGKILL');
    stores[0] = await startStore(0);
  }

  /** A stream of a client, by the network (0) or past it, to the first instance (1) or the second (2). */
  function open(way: number, client_id: string): NimbusStream {
    return (clients[way] as NimbusStranger).open({ client_id });
  }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function send(stream: NimbusStream, numbers: number[]): void {
  for (const number of numbers) stream.write({ event_name: 'SQ', number });
}

function assertSquares(responses: NimbusResponse[], numbers: number[]): void {
  assert.deepEqual(
    responses,
    numbers.map((number) => ({ event_name: 'SQ', number, result: Math.imul(number, number) })),
  );
}
