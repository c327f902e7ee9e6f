import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { type DatasetServiceFixture, samplesOf, startDatasetService } from './dataset-service.fixture.ts';
import { createDatasetSource, type DatasetSource } from './dataset-source.ts';

const dataset = { name: 'test', batchSize: 30 };
const { signal } = new AbortController();
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('a dataset source', () => {
  let service: DatasetServiceFixture;
  let source: DatasetSource;
  async function start(options: { batches: number; bytes: number; maxRetries?: number }) {
    service = await startDatasetService(options);
    source = createDatasetSource({ address: service.address, maxRetries: options.maxRetries ?? 0 });
  }
  afterEach(() => {
    source.close();
    service.stop();
  });

  it('reads every batch as base64, and knows the last one', async () => {
    await start({ batches: 5, bytes: 100 });
    const read = source.reader(dataset);
    for (const index of range(5)) {
      const batch = await read(index, signal);
      assert.equal(batch.base64.toString(), samplesOf(index, 100).toString('base64'));
      assert.deepEqual([batch.index, batch.isLast], [index, index === 4]);
    }
  });

  it('asks for a batch once, however many readers want it at however many times', async () => {
    await start({ batches: 20, bytes: 1_000 });
    const readAll = async () => {
      const read = source.reader(dataset);
      for (const index of range(20)) await read(index, signal);
    };
    await Promise.all([readAll(), readAll(), readAll()]);
    await readAll();
    const asked = service.calls.map(({ batch_index }) => batch_index).filter((index) => index < 20);
    assert.deepEqual(
      asked.toSorted((a, b) => a - b),
      range(20),
    );
  });

  it('reads ahead as many bytes as are allowed, and no more', async () => {
    await start({ batches: 100, bytes: 300_000 });
    await source.reader(dataset)(0, signal);
    await source.reader({ ...dataset, batchSize: 31 })(0, signal);
    const ofFirst = () => service.calls.filter(({ batch_size }) => batch_size === 30);
    assert.ok(ofFirst().length > 1, 'nothing was read ahead');
    // 400 kB each as base64.
    assert.ok(ofFirst().length <= 6, `${ofFirst().length} calls`);
  });

  it('tries again a service that does not answer, and finds it after its restart', async () => {
    await start({ batches: 3, bytes: 10, maxRetries: 6 });
    const { port } = service;
    await source.reader(dataset)(0, signal);
    service.stop();
    const reading = source.reader({ ...dataset, batchSize: 7 })(1, signal);
    service = await startDatasetService({ batches: 3, bytes: 10, port });
    assert.equal((await reading).index, 1);
  });

  it('gives up after its retries', async () => {
    await start({ batches: 3, bytes: 10, maxRetries: 2 });
    service.setFault(status.UNAVAILABLE);
    await assert.rejects(source.reader(dataset)(0, signal), {
      code: 'dataset-unavailable',
      message: 'the dataset service does not answer',
      cause: new Error('as the test wants'),
    });
    assert.equal(service.calls.length, 3);
  });

  it('does not remember a failure', async () => {
    await start({ batches: 3, bytes: 10 });
    service.setFault(status.UNAVAILABLE);
    await assert.rejects(source.reader(dataset)(0, signal), { code: 'dataset-unavailable' });
    service.setFault(undefined);
    assert.equal((await source.reader(dataset)(0, signal)).index, 0);
  });

  it('does not try again what no retry mends', async () => {
    await start({ batches: 3, bytes: 10, maxRetries: 3 });
    await assert.rejects(source.reader({ ...dataset, name: 'nope' })(0, signal), {
      code: 'dataset-not-found',
      message: 'there is no such dataset',
      cause: new Error('Dataset not found'),
    });
    await assert.rejects(source.reader(dataset)(3, signal), { code: 'dataset-refused' });
    assert.equal(service.calls.length, 2);
  });

  it('ends a wait when its signal aborts, and only that one', async () => {
    await start({ batches: 3, bytes: 10 });
    const gone = new AbortController();
    const [mine, other] = [source.reader(dataset)(0, gone.signal), source.reader(dataset)(0, signal)];
    gone.abort(new Error('the delivery was lost'));
    await assert.rejects(mine, /the delivery was lost/);
    assert.equal((await other).index, 0);
  });
});
