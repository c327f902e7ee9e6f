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

  it('are read as numpy.save writes them, padded to 64 bytes', () => {
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }".padEnd(117);
    const file = Buffer.concat([Buffer.from(`\x93NUMPY\x01\x00v\x00${header}\n`, 'latin1'), data]);
    assert.deepEqual(readNpy(file), { data, samples: 3, sampleShape: [2], dataType: 'float32' });
  });

  it('may be of Python 2, which writes its long numbers with an L', () => {
    const { samples, sampleShape } = readNpy(npyFile({ descr: "'|u1'", shape: '(3L, 4L, 2L)', data }));
    assert.deepEqual([samples, sampleShape], [3, [4, 2]]);
    assert.equal(readNpy(npyFile({ descr: "'|u1'", shape: '(24L,)', data })).samples, 24);
  });

  for (const shape of ['(L,)', '(24, L)', '(3LL, 8)', '(3 L, 8)', '(L3, 8)', '(3l, 8)', '(0x3L, 8)'])
    it(`may not have the shape ${shape}`, () => {
      assert.throws(() => readNpy(npyFile({ descr: "'|u1'", shape, data })), { code: 'invalid-dataset' });
    });

  it('may have the fields of their header in any order', () => {
    const header = '{"shape": (3, 2), "fortran_order": False, "descr": "<f4"}\n';
    const start = Buffer.from(`\x93NUMPY\x01\x00${String.fromCharCode(header.length)}\x00`, 'latin1');
    assert.equal(readNpy(Buffer.concat([start, Buffer.from(header), data])).samples, 3);
  });

  for (const [descr, dataType, elements] of [
    ['|b1', 'bool', 24],
    ['|i1', 'int8', 24],
    ['<u2', 'uint16', 12],
    ['<i2', 'int16', 12],
    ['<f2', 'float16', 12],
    ['<u4', 'uint32', 6],
    ['<i4', 'int32', 6],
    ['<u8', 'uint64', 3],
    ['<i8', 'int64', 3],
    ['<f8', 'float64', 3],
  ] as const)
    it(`of ${descr} are of ${dataType}`, () => {
      const file = npyFile({ descr: `'${descr}'`, shape: `(${elements},)`, data });
      assert.equal(readNpy(file).dataType, dataType);
    });

  for (const [what, file, reason] of [
    ['that is no .npy', Buffer.alloc(64), /wrong magic/],
    ['of another version', npyFile({ shape, data, version: 4 }), /version 4\.0 is not known/],
    ['that ends within its header', npyFile({ shape, data }).subarray(0, 40), /ends in its header/],
    [
      'that is cut off',
      npyFile({ shape, data }).subarray(0, -1),
      /truncated: .* needs 24 bytes, there are 23/,
    ],
    [
      'with something behind',
      npyFile({ shape, data: floats([1, 2, 3, 4, 5, 6, 7]) }),
      /too long: .* there are 28/,
    ],
    ['in Fortran order', npyFile({ shape, data, order: 'True' }), /Fortran order is not supported/],
    ['of big-endian numbers', npyFile({ shape, data, descr: "'>f4'" }), />f4.* is big-endian/],
    ['of Python objects', npyFile({ shape, data, descr: "'|O'" }), /dtype .*\|O.* is not supported/],
    [
      'of a structured type',
      npyFile({ shape, data, descr: "[('a', '<f4')]" }),
      /structured dtypes are not supported/,
    ],
    ['without an axis', npyFile({ shape: '()', data }), /without axes has no samples/],
    ['without samples', npyFile({ shape: '(0, 2)', data: Buffer.alloc(0) }), /has no elements/],
    [
      'that claims more than it has',
      npyFile({ shape: '(2000000000, 9)', data }),
      /truncated: .* there are 24/,
    ],
  ] as const)
    it(`refuses a file ${what}`, () => {
      assert.throws(() => readNpy(file), { code: 'invalid-dataset', message: reason });
    });
});
