import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { status } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import type { DataBatch__Output } from '@waybill/common/grpc/generated/dataset_service/DataBatch.ts';
import { createGrpcServer } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { pino } from 'pino';
import { type Dataset, shuffled } from './dataset.ts';
import { connectToDatasets } from './dataset-client.fixture.ts';
import { createDatasetService } from './dataset-service.ts';

const SAMPLES = 10;
const small: Dataset = {
  data: Buffer.from([...Array(SAMPLES).keys()]),
  samples: SAMPLES,
  sampleShape: [1],
  dataType: 'uint8',
};
/** 1,000 samples of 200 kB, all of one buffer: a whole batch of it is more than a message may be. */
const wide: Dataset = { ...small, data: Buffer.alloc(200_000_000), samples: 1_000, sampleShape: [200_000] };

describe('the dataset service', () => {
  it('answers GetBatch with the samples of a batch, and flags the last', async (t) => {
    const client = await start(t);
    const get = (batch_index: number) =>
      client.call('GetBatch', { dataset_name: 'small', batch_size: 4, batch_index });
    assert.deepEqual(await get(0), { data: Buffer.of(0, 1, 2, 3), batch_index: 0, is_last_batch: false });
    assert.deepEqual(await get(2), { data: Buffer.of(8, 9), batch_index: 2, is_last_batch: true });
  });

  it('answers GetDatasetInfo and HealthCheck as the contract has them', async (t) => {
    const client = await start(t);
    assert.deepEqual(await client.call('GetDatasetInfo', { dataset_name: 'small' }), {
      dataset_name: 'small',
      total_samples: SAMPLES,
      sample_shape: [1],
      data_type: 'uint8',
      is_available: true,
    });
    assert.deepEqual(await client.call('HealthCheck', {}), {
      status: 'SERVING',
      message: 'Service is healthy.',
    });
  });

  for (const [what, request, code, details] of [
    ['an unknown dataset', { dataset_name: 'none' }, status.NOT_FOUND, /^Dataset not found$/],
    ['an index that is too high', { batch_index: 3 }, status.OUT_OF_RANGE, /^Batch index out of range$/],
    ['an index below 0', { batch_index: -1 }, status.OUT_OF_RANGE, /^Batch index out of range$/],
    ['a batch size of 0', { batch_size: 0 }, status.INVALID_ARGUMENT, /batch_size must be 1 or more/],
    ['a batch size below 0', { batch_size: -5 }, status.INVALID_ARGUMENT, /batch_size must be 1 or more/],
    [
      'a batch of more than 100 MB',
      { dataset_name: 'wide', batch_size: 2 ** 31 - 1 },
      status.INVALID_ARGUMENT,
      /batch_size must be at most 524 /,
    ],
    [
      'a dataset whose file is broken',
      { dataset_name: 'broken' },
      status.FAILED_PRECONDITION,
      /^Dataset cannot be read$/,
    ],
  ] as const)
    it(`refuses ${what}, by GetBatch and by StreamBatches`, async (t) => {
      const client = await start(t);
      const whole = { dataset_name: 'small', batch_size: 4, batch_index: 0, ...request };
      await assert.rejects(client.call('GetBatch', whole), (error) => isStatus(error, code, details));
      if ('batch_index' in request) return;
      await assert.rejects(read(client.stream(whole)), (error) => isStatus(error, code, details));
    });

  it('serves a batch as large as a message may be', async (t) => {
    const client = await start(t);
    const batch = await client.call('GetBatch', { dataset_name: 'wide', batch_size: 524, batch_index: 0 });
    assert.equal(batch.data.length, 524 * 200_000);
  });

  it('streams every batch in order', async (t) => {
    const client = await start(t);
    const batches = await read(client.stream({ dataset_name: 'small', batch_size: 4 }));
    assert.deepEqual(
      batches.map(({ batch_index, is_last_batch }) => [batch_index, is_last_batch]),
      [
        [0, false],
        [1, false],
        [2, true],
      ],
    );
    assert.deepEqual(joined(batches), small.data);
  });

  it('streams no more than max_batches, and the last of them says so', async (t) => {
    const client = await start(t);
    const batches = await read(client.stream({ dataset_name: 'small', batch_size: 4, max_batches: 2 }));
    assert.deepEqual(joined(batches), small.data.subarray(0, 8));
    assert.deepEqual(
      batches.map((batch) => batch.is_last_batch),
      [false, true],
    );
    await assert.rejects(
      read(client.stream({ dataset_name: 'small', batch_size: 4, max_batches: -1 })),
      (error) => isStatus(error, status.INVALID_ARGUMENT, /max_batches/),
    );
  });

  it('streams every sample once, in another order, when shuffled', async (t) => {
    const client = await start(t);
    const batches = await read(client.stream({ dataset_name: 'small', batch_size: 4, shuffle: true }));
    assert.notDeepEqual(joined(batches), small.data);
    assert.deepEqual(Buffer.from(joined(batches)).sort(), small.data);
  });

  it('streams no faster than it is read', async (t) => {
    let sliced = 0;
    const counted: Dataset = { ...wide };
    Object.defineProperty(counted, 'data', {
      get() {
        sliced += 1;
        return wide.data;
      },
    });
    const client = await start(t, { counted });
    const stream = client.stream({ dataset_name: 'counted', batch_size: 5 });
    await new Promise((resolve) => stream.once('metadata', resolve));
    // An answered call: whatever the stream could send by itself, it has by now.
    for (let call = 0; call < 20; call += 1) await client.call('HealthCheck', {});
    assert.ok(sliced < 100, `${sliced} of 200 batches were made for a client that reads none`);
    assert.equal((await read(stream)).length, 200);
  });
});

async function start(t: TestContext, more: Record<string, Dataset> = {}) {
  const known = new Map(Object.entries({ small, wide, ...more }));
  async function find(name: string): Promise<Dataset | undefined> {
    if (name === 'broken') throw new AppError('invalid-dataset', 'secret path');
    return known.get(name);
  }
  const log = pino({ level: 'silent' });
  const server = await createGrpcServer({
    services: [
      {
        definition: loadProto('dataset_service.proto'),
        name: 'dataset_service.DatasetService',
        implementation: createDatasetService({
          datasets: {
            find,
            async findShuffled(name) {
              const dataset = await find(name);
              return dataset && shuffled(dataset, 1);
            },
          },
          log,
        }),
      },
    ],
    host: '127.0.0.1',
    port: 0,
    isServing: () => true,
    maxReceiveBytes: 64 * 1024,
    maxSendBytes: 100 * 1024 * 1024,
    log,
  });
  t.after(() => server.close(0));
  return connectToDatasets(t, server.port);
}

async function read(stream: AsyncIterable<unknown>): Promise<DataBatch__Output[]> {
  const batches: DataBatch__Output[] = [];
  for await (const batch of stream) batches.push(batch as DataBatch__Output);
  return batches;
}

function joined(batches: DataBatch__Output[]): Buffer {
  return Buffer.concat(batches.map(({ data }) => data));
}

function isStatus(error: unknown, code: status, details: RegExp): boolean {
  const { code: actual, details: told } = error as { code: status; details: string };
  assert.equal(actual, code);
  assert.match(told, details);
  return true;
}
