import { createRandom, type Dataset } from './dataset.ts';

const SAMPLES = 10_000;
const SIDE = 28;
const SEED = 42;

/**
 * A dataset of the shape of MNIST's test split (10,000 images of 28 × 28 × 1 float32 from 0 to 1), for where its files are
 * not there: noise, the same on every machine and in every run.
 */
export function synthesizeMnist(): Dataset {
  const random = createRandom(SEED);
  const pixels = SAMPLES * SIDE * SIDE;
  const data = Buffer.allocUnsafe(pixels * 4);
  for (let pixel = 0; pixel < pixels; pixel += 1)
    data.writeFloatLE(Math.floor(random() * 256) / 255, pixel * 4);
  return { data, samples: SAMPLES, sampleShape: [SIDE, SIDE, 1], dataType: 'float32', isSynthetic: true };
}
