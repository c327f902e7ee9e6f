/** A dataset in memory. */
export type Dataset = {
  /** Its samples, one after the other, little-endian. */
  data: Buffer;
  /** How many. */
  samples: number;
  /** The axes of one sample. */
  sampleShape: number[];
  /** As NumPy names it, such as `float32`. */
  dataType: string;
  /** Made here, because its files are not there. */
  isSynthetic?: boolean;
};

/** Most bytes of a dataset. It is held in memory, and `Buffer` and gRPC count in 32 bits. */
export const MAX_DATASET_BYTES = 1024 ** 3;

/** Where batch `index` of `batchSize` samples lies; undefined when there is no such batch. */
export function sliceBatch(
  { data, samples }: Dataset,
  { batchSize, index }: { batchSize: number; index: number },
): { data: Buffer; isLast: boolean } | undefined {
  const first = index * batchSize;
  if (index < 0 || first >= samples) return undefined;
  const end = Math.min(first + batchSize, samples);
  const sampleBytes = data.length / samples;
  return { data: data.subarray(first * sampleBytes, end * sampleBytes), isLast: end === samples };
}

/** `dataset` with its samples in an order that depends on `seed` alone. Copies it. */
export function shuffled(dataset: Dataset, seed: number): Dataset {
  const sampleBytes = dataset.data.length / dataset.samples;
  const data = Buffer.allocUnsafe(dataset.data.length);
  const order = shuffledIndexes(dataset.samples, seed);
  for (const [to, from] of order.entries())
    dataset.data.copy(data, to * sampleBytes, from * sampleBytes, (from + 1) * sampleBytes);
  return { ...dataset, data };
}

/** Fisher–Yates. */
function shuffledIndexes(count: number, seed: number): Uint32Array {
  const indexes = Uint32Array.from({ length: count }, (_, index) => index);
  const random = createRandom(seed);
  for (let last = count - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const kept = indexes[last] as number;
    indexes[last] = indexes[other] as number;
    indexes[other] = kept;
  }
  return indexes;
}

/** mulberry32: numbers in [0, 1), the same for the same seed on every machine. Not for secrets. */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
