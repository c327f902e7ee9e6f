import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Dataset, shuffled, sliceBatch } from './dataset.ts';
import { synthesizeMnist } from './synthetic.ts';

const SAMPLES = 7;
const dataset: Dataset = {
  data: Buffer.from(Uint8Array.from({ length: SAMPLES * 2 }, (_, index) => index)),
  samples: SAMPLES,
  sampleShape: [2],
  dataType: 'uint8',
};

describe('a batch', () => {
  it('is a part of the data, not a copy, and the last has what is left', () => {
    const batches = [0, 1, 2].map((index) => sliceBatch(dataset, { batchSize: 3, index }));
    assert.deepEqual(Buffer.concat(batches.map((batch) => batch?.data ?? Buffer.alloc(0))), dataset.data);
    assert.deepEqual(
      batches.map((batch) => batch?.isLast),
      [false, false, true],
    );
    assert.equal(batches[2]?.data.length, 2);
    assert.equal(batches[0]?.data.buffer, dataset.data.buffer);
  });

  it('is last when the samples come out even', () => {
    assert.equal(sliceBatch(dataset, { batchSize: SAMPLES, index: 0 })?.isLast, true);
  });

  for (const index of [-1, 3])
    it(`is none at ${index}`, () => assert.equal(sliceBatch(dataset, { batchSize: 3, index }), undefined));
});

describe('a shuffled dataset', () => {
  it('has the same samples, whole, in an order that the seed alone decides', () => {
    const first = shuffled(dataset, 1);
    const samplesOf = ({ data }: Dataset) =>
      Array.from({ length: SAMPLES }, (_, index) => data.toString('hex', index * 2, index * 2 + 2));
    assert.notDeepEqual(samplesOf(first), samplesOf(dataset));
    assert.deepEqual(samplesOf(first).sort(), samplesOf(dataset).sort());
    assert.deepEqual(shuffled(dataset, 1), first);
    assert.notDeepEqual(shuffled(dataset, 2), first);
  });
});

describe('the synthetic mnist', () => {
  it('is the same every time, with pixels from 0 to 1', () => {
    const { data, samples, sampleShape } = synthesizeMnist();
    assert.deepEqual([samples, sampleShape, data.length], [10_000, [28, 28, 1], 31_360_000]);
    assert.ok(synthesizeMnist().data.equals(data));
    const pixels = Array.from({ length: 784 }, (_, pixel) => data.readFloatLE(pixel * 4));
    assert.ok(pixels.every((value) => value >= 0 && value <= 1));
  });
});
