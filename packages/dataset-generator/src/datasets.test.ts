import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { floats, idxFile, npyFile } from './dataset-files.fixture.ts';
import { createDatasets } from './datasets.ts';

const faces = npyFile({ shape: '(3, 2)', data: floats([1, 2, 3, 4, 5, 6]) });

describe('the datasets', () => {
  it('have mnist from its file, plain or in gzip, by any name that it comes with', async (t) => {
    for (const [file, bytes] of [
      ['t10k-images-idx3-ubyte', idxFile({ images: 4 })],
      ['t10k-images-idx3-ubyte.gz', gzipSync(idxFile({ images: 4 }))],
      ['t10k-images.idx3-ubyte', idxFile({ images: 4 })],
      ['t10k-images.idx3-ubyte.gz', gzipSync(idxFile({ images: 4 }))],
      ['MNIST/raw/t10k-images-idx3-ubyte', idxFile({ images: 4 })],
    ] as const) {
      const { datasets, logged } = await bench(t, { [file]: bytes });
      const mnist = await datasets.find('mnist');
      assert.equal(mnist?.samples, 4);
      assert.ok(!mnist?.isSynthetic);
      assert.ok(!logged.some((line) => /synthetic/.test(line)));
    }
  });

  it('have a synthetic mnist without files, and log that it is one', async (t) => {
    for (const files of [undefined, {}]) {
      const { datasets, logged } = await bench(t, files);
      const mnist = await datasets.find('mnist');
      assert.deepEqual([mnist?.samples, mnist?.isSynthetic], [10_000, true]);
      assert.ok(logged.some((line) => /synthetic/.test(line)));
    }
  });

  it('have cifar10 and any .npy by its name', async (t) => {
    const { datasets } = await bench(t, {
      'test_batch.bin': Buffer.alloc(3073),
      'faces.npy': faces,
    });
    assert.deepEqual((await datasets.find('cifar10'))?.sampleShape, [32, 32, 3]);
    assert.deepEqual((await datasets.find('faces'))?.samples, 3);
  });

  for (const name of [
    '',
    'unknown',
    '../secret',
    'sub/faces',
    '.',
    'faces.npy',
    'a\0',
    '__proto__',
    'x'.repeat(65),
  ])
    it(`have none named ${JSON.stringify(name.slice(0, 20))}`, async (t) => {
      const { datasets, folder } = await bench(t, { 'faces.npy': faces });
      await writeFile(join(folder, '..', 'secret.npy'), faces);
      await mkdir(join(folder, 'sub'));
      await writeFile(join(folder, 'sub', 'faces.npy'), faces);
      assert.equal(await datasets.find(name), undefined);
    });

  it('are read once, however many ask at the same time', async (t) => {
    const { datasets, logged } = await bench(t, { 'faces.npy': faces });
    const found = await Promise.all([1, 2, 3].map(() => datasets.find('faces')));
    assert.equal(new Set(found).size, 1);
    assert.equal(logged.filter((line) => /dataset read/.test(line)).length, 1);
  });

  it('are looked for again after one was missing or broken', async (t) => {
    const { datasets, folder } = await bench(t, {});
    assert.equal(await datasets.find('faces'), undefined);
    await writeFile(join(folder, 'faces.npy'), faces.subarray(0, -1));
    await assert.rejects(datasets.find('faces'), { code: 'invalid-dataset' });
    await writeFile(join(folder, 'faces.npy'), faces);
    assert.equal((await datasets.find('faces'))?.samples, 3);
  });

  it('do not make up an mnist whose file is broken', async (t) => {
    const { datasets } = await bench(t, { 't10k-images-idx3-ubyte': Buffer.alloc(20) });
    await assert.rejects(datasets.find('mnist'), { code: 'invalid-dataset' });
  });

  it('are shuffled in the same order every time', async (t) => {
    const files = {
      'faces.npy': npyFile({ shape: '(64,)', descr: "'|u1'", data: Buffer.from([...Array(64).keys()]) }),
    };
    const shuffles = [];
    for (const shuffleSeed of [1, 1, 2]) {
      const { datasets } = await bench(t, files, shuffleSeed);
      shuffles.push((await datasets.findShuffled('faces'))?.data.toString('hex'));
    }
    assert.equal(shuffles[0], shuffles[1]);
    assert.notEqual(shuffles[0], shuffles[2]);
  });
});

/** Datasets of a folder of their own with `files`; of none without. */
async function bench(t: TestContext, files: Record<string, Buffer> | undefined, shuffleSeed = 1) {
  const parent = await mkdtemp(join(tmpdir(), 'datasets-'));
  t.after(() => rm(parent, { recursive: true }));
  const folder = join(parent, 'datasets');
  await mkdir(folder);
  for (const [name, bytes] of Object.entries(files ?? {})) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
  const logged: string[] = [];
  const log = pino({}, { write: (line) => logged.push(line) });
  const datasets = createDatasets({ folder: files && folder, shuffleSeed, log });
  return { datasets, folder, logged };
}
