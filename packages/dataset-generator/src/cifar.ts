/**
 * The binary version of CIFAR-10: https://www.cs.toronto.edu/~kriz/cifar.html. A record is a label and an image, whose
 * 1024 red values come first, then the green, then the blue.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { Dataset } from './dataset.ts';
import { toUnitFloats } from './idx.ts';

const SIDE = 32;
const CHANNELS = 3;
const PLANE_BYTES = SIDE * SIDE;
const IMAGE_BYTES = PLANE_BYTES * CHANNELS;
const RECORD_BYTES = 1 + IMAGE_BYTES;
const LAST_LABEL = 9;

/**
 * Reads a batch file into samples of [32, 32, 3] float32 from 0 to 1, the three colours of a pixel side by side; the labels
 * are left out. The format has no magic: throws AppError `invalid-dataset` for a size that is not of whole records, for
 * a label above 9, and for a dataset of more than MAX_DATASET_BYTES.
 */
export function readCifar10(bytes: Buffer): Dataset {
  if (bytes.length === 0 || bytes.length % RECORD_BYTES !== 0)
    throw new AppError(
      'invalid-dataset',
      `CIFAR-10: truncated or another format: ${bytes.length} bytes are not records of ${RECORD_BYTES}`,
    );
  const samples = bytes.length / RECORD_BYTES;
  checkLabels(bytes, samples);
  return {
    data: toUnitFloats(interleave(bytes, samples)),
    samples,
    sampleShape: [SIDE, SIDE, CHANNELS],
    dataType: 'float32',
  };
}

function checkLabels(bytes: Buffer, samples: number): void {
  for (let sample = 0; sample < samples; sample += 1) {
    const label = bytes[sample * RECORD_BYTES] as number;
    if (label > LAST_LABEL)
      throw new AppError('invalid-dataset', `CIFAR-10: record ${sample} has label ${label}, not 0 to 9`);
  }
}

/** Channel after channel to pixel after pixel. */
function interleave(bytes: Buffer, samples: number): Uint8Array {
  const pixels = new Uint8Array(samples * IMAGE_BYTES);
  let to = 0;
  for (let sample = 0; sample < samples; sample += 1) {
    const red = sample * RECORD_BYTES + 1;
    for (let from = red; from < red + PLANE_BYTES; from += 1) {
      pixels[to++] = bytes[from] as number;
      pixels[to++] = bytes[from + PLANE_BYTES] as number;
      pixels[to++] = bytes[from + 2 * PLANE_BYTES] as number;
    }
  }
  return pixels;
}
