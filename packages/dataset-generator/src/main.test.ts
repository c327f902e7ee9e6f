import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startService } from '@waybill/test-harness/service.ts';
import { connectToDatasets } from './dataset-client.fixture.ts';

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
      sizes.push((batch.data as Buffer).length);
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
});
