import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { startService } from '@waybill/test-harness/service.ts';
import { connectToDatasets } from './dataset-client.fixture.ts';
import { idxFile } from './dataset-files.fixture.ts';

const MAX_OPEN_FILES = 100;

describe('dataset-generator', () => {
  it('serves a synthetic mnist in 334 batches of 30 without any file, and exits 0 on SIGTERM', async (t) => {
    const service = await startService({ name: 'dataset-generator', env: { GRPC_PORT: '0' } });
    t.after(() => service.kill('SIGKILL'));
    await service.ready();
    const client = connectToDatasets(t, service.port as number);

    const info = await client.call('GetDatasetInfo', { dataset_name: 'mnist' });
    assert.deepEqual(info, {
      dataset_name: 'mnist (synthetic)',
      total_samples: 10_000,
      sample_shape: [28, 28, 1],
      data_type: 'float32',
      is_available: true,
    });

    const sizes: number[] = [];
    const last: number[] = [];
    for (let index = 0; index < 334; index += 1) {
      const batch = await client.call('GetBatch', {
        dataset_name: 'mnist',
        batch_size: 30,
        batch_index: index,
      });
      assert.equal(batch.batch_index, index);
      sizes.push(batch.data.length);
      if (batch.is_last_batch) last.push(index);
    }
    assert.deepEqual(last, [333]);
    assert.ok(sizes.slice(0, -1).every((size) => size === 94_080));
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      10_000 * 28 * 28 * 4,
    );
    assert.deepEqual(await service.stop(), { code: 0, signal: null });
  });

  it('says that a dataset cannot be read now while no further file may be open, and gives it afterwards', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'datasets-'));
    t.after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 't10k-images-idx3-ubyte'), idxFile({ images: 4 }));
    const env = { GRPC_PORT: '0', DATASETS_DIR: folder };
    const service = await startService({ name: 'dataset-generator', env, maxOpenFiles: MAX_OPEN_FILES });
    t.after(() => service.kill('SIGKILL'));
    await service.ready();
    const client = connectToDatasets(t, service.port as number);
    await client.call('HealthCheck', {});

    const held = await Promise.all(
      Array.from({ length: 2 * MAX_OPEN_FILES }, () => open(service.port as number)),
    );
    t.after(() => held.forEach((socket) => void socket.destroy()));
    await eventually(() => assert.ok(held.some((socket) => socket.destroyed)));
    const ask = () => client.call('GetDatasetInfo', { dataset_name: 'mnist' });
    await assert.rejects(ask(), { code: status.UNAVAILABLE, details: 'Dataset cannot be read now' });

    for (const socket of held) socket.destroy();
    await eventually(async () => assert.equal((await ask()).total_samples, 4));
  });
});

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  return socket;
}
