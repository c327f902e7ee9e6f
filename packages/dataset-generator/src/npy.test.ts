import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { floats, npyFile } from './dataset-files.fixture.ts';
import { readNpy } from './npy.ts';

const data = floats([1, 2, 3, 4, 5, 6]);
const shape = '(3, 2)';

describe('NumPy files', () => {
  for (const version of [1, 2, 3])
    it(`of version ${version} are taken as they are`, () => {
      const read = readNpy(npyFile({ shape, data, version }));
      assert.deepEqual(read, { data, samples: 3, sampleShape: [2], dataType: 'float32' });
    });

  it('may have one axis, and numbers of one byte', () => {
    const { samples, sampleShape, dataType } = readNpy(npyFile({ descr: "'|u1'", shape: '(24,)', data }));
    assert.deepEqual([samples, sampleShape, dataType], [24, [], 'uint8']);
  });

  for (const [what, file, reason] of [
    ['that is no .npy', Buffer.alloc(64), /does not start as one/],
    ['of another version', npyFile({ shape, data, version: 4 }), /unknown version 4/],
    ['that ends within its header', npyFile({ shape, data }).subarray(0, 40), /ends within its header/],
    ['that is cut off', npyFile({ shape, data }).subarray(0, -1), /23 bytes .* says 24/],
    ['with something behind', npyFile({ shape, data: floats([1, 2, 3, 4, 5, 6, 7]) }), /28 bytes/],
    ['in Fortran order', npyFile({ shape, data, order: 'True' }), /not in C order/],
    ['of big-endian numbers', npyFile({ shape, data, descr: "'>f4'" }), /numbers of >f4; taken are .*<f4/],
    ['of Python objects', npyFile({ shape, data, descr: "'|O'" }), /numbers of \|O/],
    ['of a structured type', npyFile({ shape, data, descr: "[('a', '<f4')]" }), /a structured type/],
    ['without an axis', npyFile({ shape: '()', data }), /no axis/],
    ['without samples', npyFile({ shape: '(0, 2)', data: Buffer.alloc(0) }), /no samples/],
    [
      'that claims more than memory holds',
      npyFile({ shape: '(2000000000, 9)', data }),
      /more than \d+ bytes/,
    ],
  ] as const)
    it(`refuses a file ${what}`, () => {
      assert.throws(() => readNpy(file), { code: 'invalid-dataset', message: reason });
    });
});
