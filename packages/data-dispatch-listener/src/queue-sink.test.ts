import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventEmitter, getEventListeners } from 'node:events';
import { after, before, beforeEach, describe, it } from 'node:test';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type ChannelModel, type ConfirmChannel, connect, type GetMessage } from 'amqplib';
import { createQueueSink, QueueRefusal, type QueueSink, type QueueSinkOptions } from './queue-sink.ts';
import type { Batch } from './stream-batches.ts';

const toBatch = (index: number, bytes = 1_000): Batch => ({
  index,
  isLast: false,
  base64: Buffer.alloc(bytes, 'A'),
});

describe('a queue sink', () => {
  let broker: TestBroker;
  let proxy: TcpProxy;
  let direct: ChannelModel;
  let queue: string;
  const opened: ChannelModel[] = [];
  before(async () => {
    broker = await freshBroker();
    proxy = await startTcpProxy({ target: broker.url });
    direct = await connect(broker.url);
    direct.on('error', () => {});
  });
  beforeEach(async () => {
    queue = randomUUID();
    const channel = await direct.createChannel();
    await channel.assertQueue(queue, { durable: true });
    await channel.close();
  });
  after(async () => {
    for (const model of [...opened, direct]) breakConnection(model, new Error('the test is over'));
    await proxy.close();
    await broker.close();
  });

  /** Each channel on a connection of its own, through the proxy. */
  async function openChannel() {
    const model = await connect(proxy.through(broker.url));
    model.on('error', () => {});
    opened.push(model);
    return await model.createConfirmChannel();
  }

  function createSink(options: Partial<QueueSinkOptions> = {}): QueueSink {
    return createQueueSink({
      queue,
      openChannel,
      toMessage: ({ index, base64 }) => ({ body: base64, options: { headers: { batch_index: index } } }),
      maxRetries: 3,
      signal: new AbortController().signal,
      onTimeout: () => {},
      ...options,
    });
  }

  async function messages(): Promise<GetMessage[]> {
    const channel = await direct.createChannel();
    const found: GetMessage[] = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) break;
      found.push(message);
    }
    await channel.close();
    return found;
  }

  const indexes = (found: GetMessage[]) => found.map(({ properties }) => properties.headers?.batch_index);
  const range = (count: number) => Array.from({ length: count }, (_, index) => index);

  it('has every batch confirmed, persistent and in order, when it is flushed', async () => {
    const sink = createSink();
    for (const index of range(100)) await sink.send(toBatch(index));
    await sink.flush();
    assert.equal(sink.confirmed(), 100);
    const found = await messages();
    assert.deepEqual(indexes(found), range(100));
    assert.ok(found.every(({ properties }) => properties.deliveryMode === 2));
  });

  it('is flushed when all is confirmed, although the channel breaks in the same moment', async () => {
    const channel = new EventEmitter();
    const publish = (...[, , , , confirm]: Parameters<ConfirmChannel['publish']>) => {
      setImmediate(() => {
        confirm?.(null, {});
        channel.emit('close');
      });
      return true;
    };
    const channels = [Object.assign(channel, { publish, close: async () => {} })];
    const sink = createSink({
      openChannel: async () => channels.shift() ?? assert.fail('opened again'),
      maxRetries: 0,
    });
    await sink.send(toBatch(0));
    await sink.flush();
    assert.equal(sink.confirmed(), 1);
  });

  it('publishes on a fresh channel, in order, what was unconfirmed when the connection broke', async () => {
    const before = opened.length;
    const sink = createSink();
    for (const index of range(100)) {
      if (index % 30 === 20) proxy.reset();
      await sink.send(toBatch(index, 10_000));
    }
    await sink.flush();
    assert.equal(sink.confirmed(), 100);
    const found = indexes(await messages());
    assert.deepEqual([...new Set(found)], range(100));
    assert.ok(opened.length > before + 1, 'the connection never broke');
  });

  it('holds what has no room in its window, and publishes it again when no confirm comes in time', async () => {
    const sink = createSink();
    await sink.send(toBatch(0));
    await sink.flush();
    proxy.setFault({ drop: 'to-client' });
    let sent = 0;
    const sending = (async () => {
      for (const index of range(40)) {
        await sink.send(toBatch(index + 1));
        sent += 1;
      }
      await sink.flush();
    })();
    await new Promise((resolve) => setImmediate(resolve));
    const inWindow = sent;
    assert.ok(inWindow >= 1 && inWindow <= 32, String(inWindow));
    proxy.setFault({});
    proxy.reset();
    await sending;
    assert.deepEqual([...new Set(indexes(await messages()))], range(41));
  });

  it('fails for good when the queue was deleted, and says so', async () => {
    const sink = createSink();
    await sink.send(toBatch(0));
    await sink.flush();
    const channel = await direct.createChannel();
    await channel.deleteQueue(queue);
    await channel.close();
    await sink.send(toBatch(1));
    await assert.rejects(sink.flush(), { code: 'client-queue-deleted' });
    assert.equal(sink.confirmed(), 1);
  });

  it('gives up after its retries, and says how many batches are safe', async () => {
    let isBroken = false;
    const sink = createSink({
      maxRetries: 2,
      openChannel: () => (isBroken ? Promise.reject(new Error('connection refused')) : openChannel()),
    });
    for (const index of range(10)) await sink.send(toBatch(index));
    await sink.flush();
    isBroken = true;
    proxy.reset();
    await sink.send(toBatch(10));
    await assert.rejects(sink.flush(), { code: 'client-queue-unavailable', message: /connection refused/ });
    assert.equal(sink.confirmed(), 10);
  });

  it('says so when the queue refuses a batch, and sends one by one if asked to', async () => {
    const channel = await direct.createChannel();
    await channel.deleteQueue(queue);
    const full = { 'x-max-length': 5, 'x-overflow': 'reject-publish' };
    await channel.assertQueue(queue, { durable: true, arguments: full });
    await channel.close();
    const sink = createSink({ isOneByOne: true });
    const sending = (async () => {
      for (const index of range(12)) await sink.send(toBatch(index));
      await sink.flush();
    })();
    await assert.rejects(sending, QueueRefusal);
    const found = indexes(await messages());
    assert.deepEqual(found, range(sink.confirmed()));
    assert.ok(found.length >= 5 && found.length < 12, String(found));
    sink.close();
  });

  it('writes nothing more once its signal has aborted', async () => {
    const gone = new AbortController();
    const sink = createSink({ signal: gone.signal });
    await sink.send(toBatch(0));
    await sink.flush();
    gone.abort(new Error('the delivery was lost'));
    await assert.rejects(sink.send(toBatch(1)), /the delivery was lost/);
    assert.deepEqual(indexes(await messages()), [0]);
  });

  it('leaves nothing on its signal when it is closed', async () => {
    const { signal } = new AbortController();
    const sink = createSink({ signal });
    await sink.send(toBatch(0));
    await sink.flush();
    sink.close();
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('ends every wait when its signal aborts', async () => {
    const gone = new AbortController();
    const sink = createSink({ signal: gone.signal });
    await sink.send(toBatch(0));
    await sink.flush();
    proxy.setFault({ drop: 'to-client' });
    await sink.send(toBatch(1));
    const flushed = sink.flush();
    gone.abort(new Error('the delivery was lost'));
    await assert.rejects(flushed, /the delivery was lost/);
    proxy.setFault({});
    proxy.reset();
  });
});
