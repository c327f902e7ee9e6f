import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCifar10 } from './cifar.ts';

const PLANE = 32 * 32;

describe('CIFAR-10 images', () => {
  it('become rows × columns × channels as float32 from 0 to 1, without their labels', () => {
    const { data, ...info } = readCifar10(Buffer.concat([record(9, 255, 51, 0), record(0, 0, 0, 255)]));
    assert.deepEqual(info, { samples: 2, sampleShape: [32, 32, 3], dataType: 'float32' });
    assert.equal(data.length, 2 * PLANE * 3 * 4);
    const pixelAt = (sample: number, pixel: number) =>
      [0, 1, 2].map((channel) => data.readFloatLE(((sample * PLANE + pixel) * 3 + channel) * 4));
    for (const pixel of [0, 1, PLANE - 1]) {
      assert.deepEqual(pixelAt(0, pixel), [1, Math.fround(0.2), 0]);
      assert.deepEqual(pixelAt(1, pixel), [0, 0, 1]);
    }
  });

  for (const [what, file, reason] of [
    ['that is empty', Buffer.alloc(0), /0 bytes/],
    ['that is cut off', record(1, 0, 0, 0).subarray(1), /3072 bytes/],
    ['with a label above 9', record(10, 0, 0, 0), /record 0 has label 10/],
  ] as const)
    it(`refuses a file ${what}`, () => {
      assert.throws(() => readCifar10(file), { code: 'invalid-dataset', message: reason });
    });
});

function record(label: number, red: number, green: number, blue: number): Buffer {
  return Buffer.concat([Buffer.of(label), ...[red, green, blue].map((value) => Buffer.alloc(PLANE, value))]);
}
