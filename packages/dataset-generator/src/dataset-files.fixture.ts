/** Small files of datasets, as their own tools would write them. */

/** An IDX file of `images` images of `rows` × `columns`, whose pixels count up from 0. */
export function idxFile({
  images,
  rows = 2,
  columns = 3,
}: {
  images: number;
  rows?: number;
  columns?: number;
}) {
  const header = Buffer.alloc(16);
  for (const [index, value] of [0x803, images, rows, columns].entries())
    header.writeUInt32BE(value, index * 4);
  return Buffer.concat([
    header,
    Buffer.from(Uint8Array.from({ length: images * rows * columns }, (_, i) => i)),
  ]);
}

/** A `.npy` file with `data` behind its header. */
export function npyFile({
  descr = "'<f4'",
  order = 'False',
  shape,
  version = 1,
  data,
}: {
  descr?: string;
  order?: string;
  shape: string;
  version?: number;
  data: Uint8Array;
}): Buffer {
  const header = Buffer.from(`{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`);
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUInt16LE(header.length);
  return Buffer.concat([Buffer.from('\x93NUMPY', 'latin1'), Buffer.of(version, 0), length, header, data]);
}

/** `values` as NumPy writes float32. */
export function floats(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes;
}
