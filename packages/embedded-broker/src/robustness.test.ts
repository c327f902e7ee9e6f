import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { connect } from 'amqplib';
import { consume, message, openClient, publishAll } from './both-brokers.fixture.ts';
import { encodeMethodFrame } from './codec/frames.ts';
import { methods } from './codec/spec.ts';
import { createEmbeddedBroker, type EmbeddedBroker } from './create-embedded-broker.ts';
import { bye, frame, greeting, openRaw, PROTOCOL_HEADER } from './raw-client.fixture.ts';

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const REFUSED_FRAMES = 10_000;
const QUEUED_MESSAGES = 100_000;

/** How far a client gets before it errs. */
const opened = greeting();
const withChannel = Buffer.concat([opened, encodeMethodFrame(1, 'channel.open', { reserved1: '' })]);

describe('the embedded broker', () => {
  let broker: EmbeddedBroker;
  const faults: unknown[] = [];
  let refusals = 0;
  before(async () => {
    const warn = (fields: object) => {
      // It warns of other things as well, without a code.
      if ('code' in fields) refusals += 1;
    };
    const log = { info() {}, warn, error: (fields: object) => void faults.push(fields) };
    broker = await createEmbeddedBroker({ log });
  });
  after(() => broker.close());

  it(`survives ${REFUSED_FRAMES} frames that it refuses, and lets no other connection notice`, async (t) => {
    const { channel, name } = await openClient(broker.url, t);
    await channel.assertQueue(name);
    const consumer = await consume(channel, name, { noAck: true });
    const random = createRandom(SEED);

    for (let round = 0; refusals < REFUSED_FRAMES; round += 1) {
      const preludes = [PROTOCOL_HEADER, opened, withChannel, withChannel];
      // One each: of what follows a refused frame nothing may be read.
      await Promise.all(preludes.map((prelude) => sendTo(broker.port, [prelude, malformedFrame(random)])));
      if (round % 20 > 0) continue;
      await publishAll(channel, name, [String(round)]);
      assert.equal(String((await message(consumer)).content), String(round));
    }

    assert.deepEqual(faults, []);
  });

  it('cuts a client off that has closed and not ended TCP 30 s later', async (t) => {
    const client = await openRaw(broker.url, t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    client.send(0, 'connection.close', bye);
    await client.until('connection.close-ok');
    t.mock.timers.tick(29_999);
    assert.equal(client.socket.closed, false);
    t.mock.timers.tick(1);
    assert.deepEqual(await client.rest(), []);
  });

  for (const name of ['tx.select', 'tx.commit', 'tx.rollback'] as const)
    it(`refuses ${name} with 540`, async (t) => {
      const client = await openRaw(broker.url, t);
      client.send(1, name, {});
      assert.equal((await client.until('connection.close')).replyCode, 540);
    });

  it('gives back what a client held that was cut in the middle of a frame, and keeps nothing of the frame', async (t) => {
    const { channel, name } = await openClient(broker.url, t);
    await channel.assertQueue(name);
    await publishAll(channel, name, ['held']);
    const client = await openRaw(broker.url, t);
    client.send(1, 'basic.get', { reserved1: 0, queue: name, noAck: false });
    await client.until('basic.get-ok');
    const publish = { reserved1: 0, exchange: '', routingKey: name, mandatory: false, immediate: false };
    client.write(
      Buffer.concat([
        encodeMethodFrame(1, 'basic.publish', publish),
        frame(2, 1, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0]),
        frame(3, 1, Buffer.alloc(100)).subarray(0, 50),
      ]),
    );
    await eventually(() => assert.deepEqual(broker.queues()[name], { ready: 0, unacked: 1 }));

    client.socket.resetAndDestroy();

    await eventually(() => assert.deepEqual(broker.queues()[name], { ready: 1, unacked: 0 }));
    const again = await channel.get(name, { noAck: true });
    assert.ok(again);
    assert.deepEqual([String(again.content), again.fields.redelivered], ['held', true]);
  });

  it('counts one delivery for a connection that ends, however many of its channels consume', async (t) => {
    const { channel, name } = await openClient(broker.url, t);
    await channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    const { connection } = await openClient(broker.url, t);
    for (let i = 0; i < 5; i += 1) await consume(await connection.createChannel(), name);
    await publishAll(channel, name, ['1', '2', '3', '4', '5']);

    await connection.close();

    for (let i = 0; i < 5; i += 1) {
      const got = await channel.get(name);
      assert.ok(got);
      assert.equal(got.properties.headers?.['x-delivery-count'], 1);
    }
  });

  it(`holds ${QUEUED_MESSAGES} messages, and delivers them in order`, async (t) => {
    const { channel, name } = await openClient(broker.url, t);
    await channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    for (let i = 0; i < QUEUED_MESSAGES; i += 1)
      channel.sendToQueue(name, Buffer.from(String(i)), { persistent: true });
    await channel.waitForConfirms();
    assert.equal((await channel.checkQueue(name)).messageCount, QUEUED_MESSAGES);

    let next = 0;
    await channel.prefetch(500);
    await new Promise<void>((resolve, reject) => {
      channel.consume(name, (delivery) => {
        if (!delivery || String(delivery.content) !== String(next))
          return reject(new Error(`${next} expected`));
        channel.ack(delivery);
        next += 1;
        if (next === QUEUED_MESSAGES) resolve();
      });
    });
    await eventually(() => assert.deepEqual(broker.queues()[name], { ready: 0, unacked: 0 }));
  });

  it('does not buffer without end for a client that does not read', async (t) => {
    const { channel, name } = await openClient(broker.url, t);
    await channel.assertQueue(name);
    const lazy = await openRaw(broker.url, t);
    lazy.send(1, 'basic.consume', {
      reserved1: 0,
      queue: name,
      consumerTag: '',
      noLocal: false,
      noAck: true,
      exclusive: false,
      noWait: false,
      arguments: new Map(),
    });
    await lazy.until('basic.consume-ok');
    lazy.socket.pause();
    const body = Buffer.alloc(100_000);
    for (let i = 0; i < 500; i += 1) channel.sendToQueue(name, body);
    await channel.waitForConfirms();
    const { ready = 0 } = broker.queues()[name] ?? {};
    assert.ok(ready > 300, `${ready} of 500 messages wait in the queue`);

    lazy.socket.resume();

    await eventually(() => assert.equal(broker.queues()[name]?.ready, 0));
  });
});

describe('a memory limit', () => {
  it('blocks who publishes, lets consumers go on, and ends when there is room', async (t) => {
    const broker = await createEmbeddedBroker({ memoryLimitBytes: 100_000 });
    t.after(() => broker.close());
    const publisher = await openClient(broker.url, t);
    const idle = await openClient(broker.url, t);
    const consumer = await openClient(broker.url, t);
    await publisher.channel.assertQueue('q');
    let idleBlocks = 0;
    idle.connection.on('blocked', () => (idleBlocks += 1));
    const blocked = once(publisher.connection, 'blocked');
    const unblocked = once(publisher.connection, 'unblocked');
    for (let i = 0; i < 4; i += 1) publisher.channel.sendToQueue('q', Buffer.alloc(60_000));

    assert.deepEqual(await blocked, ['low on memory']);
    assert.equal(broker.queues().q?.ready, 2);
    const consumed = await consume(consumer.channel, 'q', { noAck: true });
    await unblocked;
    for (let i = 0; i < 4; i += 1) await message(consumed);
    await publisher.channel.waitForConfirms();
    assert.equal(idleBlocks, 0);
  });

  it('of 0 blocks every publisher until it is lifted', async (t) => {
    const broker = await createEmbeddedBroker();
    t.after(() => broker.close());
    const { connection, channel } = await openClient(broker.url, t);
    await channel.assertQueue('q');
    broker.setMemoryLimitBytes(0);
    const blocked = once(connection, 'blocked');
    channel.sendToQueue('q', Buffer.from('x'));
    await blocked;
    assert.equal(broker.queues().q?.ready, 0);
    broker.setMemoryLimitBytes(1_000_000);
    await channel.waitForConfirms();
    assert.equal(broker.queues().q?.ready, 1);
  });

  it('is not reached by what was acked, rejected, purged, expired or deleted', async (t) => {
    const broker = await createEmbeddedBroker({ memoryLimitBytes: 100_000 });
    t.after(() => broker.close());
    const { channel } = await openClient(broker.url, t);
    const body = Buffer.alloc(10_000);
    for (let round = 0; round < 10; round += 1) {
      await channel.assertQueue('q', { maxLength: 4 });
      for (let i = 0; i < 5; i += 1) channel.sendToQueue('q', body);
      await channel.waitForConfirms();
      channel.ack((await channel.get('q')) as never);
      channel.nack((await channel.get('q')) as never, false, false);
      assert.equal((await channel.purgeQueue('q')).messageCount, 2);
      channel.sendToQueue('q', body, { expiration: '0' });
      channel.sendToQueue('q', body);
      await channel.waitForConfirms();
      await channel.get('q');
      await channel.deleteQueue('q');
    }
  });
});

describe('closing the embedded broker', () => {
  it('tells its clients and frees the port', async (t) => {
    const broker = await createEmbeddedBroker();
    const { connection } = await openClient(broker.url, t);
    const closed = once(connection, 'close');
    await broker.close();
    assert.match(String((await closed)[0]), /CONNECTION_FORCED/);
    await assert.rejects(connect(broker.url), /ECONNREFUSED/);
  });

  it('does not wait long for a client that has closed and does not end TCP', async (t) => {
    const broker = await createEmbeddedBroker();
    const client = await openRaw(broker.url, t);
    client.send(0, 'connection.close', bye);
    await client.until('connection.close-ok');
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const closed = broker.close();
    t.mock.timers.tick(2_000);
    await closed;
  });

  it('cuts a virtual host off with all who are connected to it', async (t) => {
    const broker = await createEmbeddedBroker({ vhosts: ['/', 'mine'] });
    t.after(() => broker.close());
    const other = await openClient(broker.url, t);
    const { connection, channel } = await openClient(`${broker.url}/mine`, t);
    await channel.assertQueue('q');
    const gone = new Promise((resolve) => connection.on('close', resolve));
    broker.deleteVhost('mine');
    await gone;
    await assert.rejects(connect(`${broker.url}/mine`), /ConnectionClose/);
    await other.channel.assertQueue('q');
    broker.createVhost('mine');
    assert.equal(broker.closeConnections('mine'), 0);
    assert.deepEqual(broker.queues('mine'), {});
  });
});

/** Sends all at once and resolves when the connection has ended. */
async function sendTo(port: number, bytes: Buffer[]): Promise<void> {
  const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
  socket.on('error', () => {}).resume();
  const closed = once(socket, 'close');
  socket.end(Buffer.concat(bytes));
  await closed;
}

/** mulberry32: small, seeded, good enough to be wrong in many ways. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Right in places, so that it gets past the first check: a true method with false arguments, a body out of turn. */
function malformedFrame(random: (below: number) => number): Buffer {
  const noise = Buffer.from(Array.from({ length: random(60) }, () => random(256)));
  const ids = Object.values(methods).map(({ id }) => id);
  const [classId, methodId] = ids[random(ids.length)] as readonly [number, number];
  const method = Buffer.concat([Buffer.from([0, classId, 0, methodId]), noise]);
  const channelId = random(3);
  switch (random(6)) {
    case 0:
      return noise;
    case 1:
      return frame(random(10), channelId, noise, random(2) ? 0xce : random(256));
    case 2:
      return frame(2, channelId, Buffer.concat([Buffer.from([0, 60, 0, 0]), noise]));
    case 3:
      return frame(1, channelId, method).subarray(0, random(method.length + 8));
    default:
      return frame(1, channelId, method);
  }
}
