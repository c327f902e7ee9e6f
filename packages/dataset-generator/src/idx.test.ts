import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { floats, idxFile } from './dataset-files.fixture.ts';
import { readIdxImages } from './idx.ts';

describe('IDX images', () => {
  it('become float32 from 0 to 1', () => {
    const dataset = readIdxImages(idxFile({ images: 2 }));
    const { data, ...info } = dataset;
    assert.deepEqual(info, { samples: 2, sampleShape: [2, 3, 1], dataType: 'float32' });
    assert.deepEqual(data, floats(Array.from({ length: 12 }, (_, pixel) => pixel / 255)));
  });

  it('are the same from gzip', () => {
    const file = idxFile({ images: 2 });
    assert.deepEqual(readIdxImages(gzipSync(file)), readIdxImages(file));
  });

  for (const [what, file, reason] of [
    ['that is empty', Buffer.alloc(0), /truncated: 0 bytes/],
    ['of labels', Buffer.from([0, 0, 8, 1, ...new Array(20).fill(0)]), /wrong magic 0x00000801/],
    ['that is cut off', idxFile({ images: 2 }).subarray(0, -1), /truncated: .* 11 bytes/],
    ['that is too long', Buffer.concat([idxFile({ images: 2 }), Buffer.of(0)]), /too long: .* 13 bytes/],
    ['without images', idxFile({ images: 0 }), /has no pixels/],
    ['that claims more than it has', idxHeader(0xffff_ffff), /truncated: 4294967295/],
    ['of gzip that is cut off', gzipSync(idxFile({ images: 2 })).subarray(0, -9), /cannot be gunzipped/],
  ] as const)
    it(`refuses a file ${what}`, () => {
      assert.throws(() => readIdxImages(file), { code: 'invalid-dataset', message: reason });
    });

  it('stop being unpacked at the bound, whatever the file claims', () => {
    const megabyte = gzipSync(Buffer.alloc(1024 ** 2));
    const bomb = Buffer.concat(new Array(257).fill(megabyte));
    assert.throws(() => readIdxImages(bomb), {
      code: 'invalid-dataset',
      message: /more than 268435456 pixels/,
    });
  });
});

function idxHeader(images: number): Buffer {
  const header = idxFile({ images: 0 });
  header.writeUInt32BE(images, 4);
  return header;
}
