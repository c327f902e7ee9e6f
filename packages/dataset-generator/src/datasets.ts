/**
 * Which datasets there are, by name. Each is read when it is first asked for, and stays in memory.
 *
 * | name | files in `DATASETS_DIR` |
 * |---|---|
 * | `mnist` | `t10k-images-idx3-ubyte`, by any name it comes with: the test split; synthetic where it is not there |
 * | `cifar10` | `test_batch.bin`, also in `cifar-10-batches-bin/` |
 * | any other | `<name>.npy` |
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@waybill/common/errors.ts';
import type { Logger } from 'pino';
import { readCifar10 } from './cifar.ts';
import { type Dataset, MAX_DATASET_BYTES, shuffled } from './dataset.ts';
import { readIdxImages } from './idx.ts';
import { readNpy } from './npy.ts';
import { synthesizeMnist } from './synthetic.ts';

export type Datasets = {
  /**
   * The dataset, or undefined when there is none of this name. Rejects with AppError `invalid-dataset` when its file
   * cannot be read, and `dataset-unavailable` when it is not the file that is at fault; the next call looks again.
   */
  find(name: string): Promise<Dataset | undefined>;
  /** The same in another order, always the same one. */
  findShuffled(name: string): Promise<Dataset | undefined>;
};

/** Creates the datasets of the folder `folder`; without one there is only the synthetic `mnist`. */
export function createDatasets({
  folder,
  shuffleSeed,
  log,
}: {
  folder: string | undefined;
  shuffleSeed: number;
  log: Logger;
}): Datasets {
  const load = remember(async (name) => {
    const dataset = await read(name, folder).catch((error: Error) => {
      const code = error instanceof AppError ? error.code : 'invalid-dataset';
      throw new AppError(code, `dataset ${name}: ${error.message}`, { cause: error });
    });
    if (dataset?.isSynthetic)
      log.warn({ dataset: name }, 'its files are not there: a synthetic one is served');
    else if (dataset) log.info({ dataset: name, samples: dataset.samples }, 'dataset read');
    return dataset;
  });
  const loadShuffled = remember(async (name) => {
    const dataset = await load(name);
    return dataset && shuffled(dataset, shuffleSeed);
  });
  return { find: load, findShuffled: loadShuffled };
}

/** Only what was found: a file may be put there later, and one that is broken mended. */
function remember(
  make: (name: string) => Promise<Dataset | undefined>,
): (name: string) => Promise<Dataset | undefined> {
  const made = new Map<string, Promise<Dataset | undefined>>();
  return (name) => {
    const known = made.get(name);
    if (known) return known;
    const making = make(name);
    made.set(name, making);
    making.then(
      (dataset) => dataset ?? made.delete(name),
      () => made.delete(name),
    );
    return making;
  };
}

async function read(name: string, folder: string | undefined): Promise<Dataset | undefined> {
  // A name is never a path.
  if (!/^[A-Za-z0-9][\w-]{0,63}$/.test(name)) return undefined;
  const { files, parse } = filesOf(name);
  const bytes = folder === undefined ? undefined : await readFirst(files.map((file) => join(folder, file)));
  if (bytes) return parse(bytes);
  return name === 'mnist' ? synthesizeMnist() : undefined;
}

/** As the original is named, as archives of it and torchvision's folder have it; gzipped or not. */
const MNIST_FILES = [
  't10k-images-idx3-ubyte',
  't10k-images.idx3-ubyte',
  'MNIST/raw/t10k-images-idx3-ubyte',
].flatMap((file) => [file, `${file}.gz`]);

function filesOf(name: string): { files: string[]; parse: (bytes: Buffer) => Dataset } {
  if (name === 'mnist') return { files: MNIST_FILES, parse: readIdxImages };
  if (name === 'cifar10')
    return { files: ['test_batch.bin', 'cifar-10-batches-bin/test_batch.bin'], parse: readCifar10 };
  return { files: [`${name}.npy`], parse: readNpy };
}

/** What the machine lacks at the moment, or a network file system does not answer: nothing that the file is to blame for. */
const PASSING: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'EAGAIN',
  'EBUSY',
  'EINTR',
  'EIO',
  'ESTALE',
  'ETIMEDOUT',
]);

/** The first of the files that is there. */
async function readFirst(paths: string[]): Promise<Buffer | undefined> {
  for (const path of paths) {
    try {
      const { size } = await stat(path);
      if (size > MAX_DATASET_BYTES)
        throw new AppError('invalid-dataset', `more than ${MAX_DATASET_BYTES} bytes`);
      return await readFile(path);
    } catch (error) {
      if (error instanceof AppError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') continue;
      const isPassing = code !== undefined && PASSING.has(code);
      const errorCode = isPassing ? 'dataset-unavailable' : 'invalid-dataset';
      throw new AppError(errorCode, `cannot be read: ${code}`, { cause: error });
    }
  }
  return undefined;
}
