/** IDX, the format of the MNIST files. All its numbers are big-endian: http://yann.lecun.com/exdb/mnist/. */
import { gunzipSync } from 'node:zlib';
import { AppError } from '@waybill/common/errors.ts';
import { type Dataset, MAX_DATASET_BYTES } from './dataset.ts';

/** Unsigned bytes (0x08) with three axes (0x03). */
const MAGIC = 0x00000803;
const HEADER_BYTES = 16;
/** A pixel is one byte in the file and four in the dataset. */
const FLOAT_BYTES = 4;
const MAX_PIXELS = MAX_DATASET_BYTES / FLOAT_BYTES;

/** Each possible pixel as float32, held as its four little-endian bytes: right on a big-endian machine too. */
const unitFloats = new Uint32Array(256);
const unitFloatBytes = Buffer.from(unitFloats.buffer);
for (let value = 0; value < 256; value += 1) unitFloatBytes.writeFloatLE(value / 255, value * FLOAT_BYTES);

/**
 * Reads a file of images (IDX3, unsigned bytes), gzipped or not, into samples of [rows, columns, 1] float32 from 0 to 1.
 * Throws AppError `invalid-dataset` for anything else, for a size that is not the one its header says, and for a dataset
 * of more than {@link MAX_DATASET_BYTES}.
 */
export function readIdxImages(bytes: Buffer): Dataset {
  const file = isGzip(bytes) ? gunzip(bytes) : bytes;
  const { samples, rows, columns } = readHeader(file);
  const pixels = file.subarray(HEADER_BYTES);
  return { data: toUnitFloats(pixels), samples, sampleShape: [rows, columns, 1], dataType: 'float32' };
}

/** Each byte as a little-endian float32, 0 to 255 becoming 0 to 1. */
export function toUnitFloats(pixels: Uint8Array): Buffer {
  if (pixels.length > MAX_PIXELS)
    throw new AppError('invalid-dataset', `more than ${MAX_DATASET_BYTES} bytes as float32`);
  const floats = new Uint32Array(pixels.length);
  for (let index = 0; index < pixels.length; index += 1)
    floats[index] = unitFloats[pixels[index] as number] as number;
  return Buffer.from(floats.buffer);
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function gunzip(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: HEADER_BYTES + MAX_PIXELS });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'ERR_BUFFER_TOO_LARGE' ? `more than ${MAX_PIXELS} pixels` : message;
    throw new AppError('invalid-dataset', `IDX: cannot be gunzipped: ${reason}`, { cause });
  }
}

function readHeader(file: Buffer): { samples: number; rows: number; columns: number } {
  if (file.length < HEADER_BYTES)
    throw new AppError('invalid-dataset', `IDX: truncated: ${file.length} bytes are less than a header`);
  const magic = file.readUInt32BE(0);
  if (magic !== MAGIC)
    throw new AppError(
      'invalid-dataset',
      `IDX: wrong magic 0x${magic.toString(16).padStart(8, '0')}: images of unsigned bytes have 0x00000803`,
    );
  const header = {
    samples: file.readUInt32BE(4),
    rows: file.readUInt32BE(8),
    columns: file.readUInt32BE(12),
  };
  checkSize(header, file.length - HEADER_BYTES);
  return header;
}

/** A product that is too large to be exact is larger than any file, so it never fits by mistake. */
function checkSize(
  { samples, rows, columns }: { samples: number; rows: number; columns: number },
  pixelBytes: number,
): void {
  const dimensions = `${samples} × ${rows} × ${columns}`;
  const needed = samples * rows * columns;
  if (needed === 0) throw new AppError('invalid-dataset', `IDX: ${dimensions} has no pixels`);
  if (needed > pixelBytes)
    throw new AppError('invalid-dataset', `IDX: truncated: ${dimensions} pixels, but ${pixelBytes} bytes`);
  if (needed < pixelBytes)
    throw new AppError('invalid-dataset', `IDX: too long: ${dimensions} pixels, but ${pixelBytes} bytes`);
}
