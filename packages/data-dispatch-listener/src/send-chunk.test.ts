import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { AppError } from '@waybill/common/errors.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type ChannelModel, connect } from 'amqplib';
import { createEmbeddedBroker } from '../../embedded-broker/src/create-embedded-broker.ts';
import type { DatasetSource } from './dataset-source.ts';
import { sendChunk } from './send-chunk.ts';
import type { ReadBatch } from './stream-batches.ts';
import { turnOf } from './turn.fixture.ts';
import type { Turn } from './turn.ts';

const BATCHES = 40;
const never = new AbortController().signal;

const readAll: ReadBatch = async (index) => ({
  index,
  isLast: index === BATCHES - 1,
  base64: Buffer.from('AAAA'),
});

describe('a chunk', () => {
  let broker: Awaited<ReturnType<typeof createEmbeddedBroker>>;
  let model: ChannelModel;
  let queue: string;
  before(async () => {
    broker = await createEmbeddedBroker();
    model = await connect(`amqp://127.0.0.1:${broker.port}`);
    model.on('error', () => {});
  });
  beforeEach(async ({ name }) => {
    queue = name;
    const channel = await model.createChannel();
    await channel.assertQueue(queue);
    await channel.close();
  });
  after(async () => {
    breakConnection(model, new Error('the test is over'));
    await broker.close();
  });

  function send(read: ReadBatch, { nextIndex = 0, blocked = never, ...handling }: SendOptions = {}) {
    const turn = turnOf({ nextIndex, pause: { since: new Date().toISOString(), ready: 1 } });
    return sendChunk({
      model,
      blocked,
      stream: { ...turn.stream, client: { ...turn.stream.client, queue_name: queue } },
      handling: { ...turn.handling, ...handling },
      source: { reader: () => read, close() {} } satisfies DatasetSource,
      maxRetries: 0,
    });
  }

  const arrived = () => broker.queues()[queue]?.ready;

  it('has 32 batches, and leads to the next one, whose stream waits for nothing', async (t) => {
    // However long it takes here.
    t.mock.method(performance, 'now', () => 0);
    const { next, delayMs } = await send(readAll);
    assert.deepEqual([next?.nextIndex, next?.pause, delayMs], [32, undefined, undefined]);
    assert.equal(arrived(), 32);
  });

  it('leads to nothing after the last batch', async () => {
    assert.deepEqual(await send(readAll, { nextIndex: 32 }), {});
    assert.equal(arrived(), 8);
  });

  it('leads on behind what has arrived, a second later, when the dataset service fails under way', async () => {
    const { next, delayMs } = await send(failingAt(10));
    assert.deepEqual([next?.nextIndex, delayMs, arrived()], [10, 1_000, 10]);
  });

  it('fails when nothing of it has arrived', async () => {
    await assert.rejects(send(failingAt(10), { nextIndex: 10 }), { code: 'dataset-unavailable' });
    assert.equal(arrived(), 0);
  });

  it('ends with its next batch when the process is asked to stop, and leads on at once', async () => {
    const stopping = new AbortController();
    const read: ReadBatch = async (index, signal) => {
      if (index === 5) stopping.abort();
      return await readAll(index, signal);
    };
    const { next, delayMs } = await send(read, { stopping: stopping.signal });
    assert.deepEqual([next?.nextIndex, delayMs, arrived()], [6, undefined, 6]);
  });

  it('ends with what its broker is blocked for', async () => {
    const blocked = AbortSignal.abort(new AppError('client-queue-busy', 'blocked'));
    await assert.rejects(send(readAll, { blocked }), { code: 'client-queue-busy' });
    assert.equal(arrived(), 0);
  });

  it('leads to none when its delivery is lost: somebody else has the stream', async () => {
    const lost = new AbortController();
    const read: ReadBatch = async (index, signal) => {
      if (index === 5) {
        await eventually(() => assert.equal(arrived(), 5));
        // Its answer comes behind the confirms.
        await (await model.createChannel()).close();
        lost.abort(new AppError('delivery-lost', 'the delivery was lost'));
      }
      return await readAll(index, signal);
    };
    await assert.rejects(send(read, { signal: lost.signal }), { code: 'delivery-lost' });
  });
});

type SendOptions = Partial<Turn['handling']> & { nextIndex?: number; blocked?: AbortSignal };

function failingAt(failing: number): ReadBatch {
  return async (index, signal) => {
    if (index === failing) throw new AppError('dataset-unavailable', 'no answer');
    return await readAll(index, signal);
  };
}
