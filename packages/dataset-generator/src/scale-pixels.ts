import { endianness } from 'node:os';

/** Pixels from 0 to 255 as little-endian float32 from 0 to 1. */
export function scalePixels(pixels: Uint8Array): Buffer {
  const floats = new Float32Array(pixels.length);
  for (let index = 0; index < pixels.length; index += 1) floats[index] = (pixels[index] as number) / 255;
  const data = Buffer.from(floats.buffer);
  return endianness() === 'LE' ? data : data.swap32();
}
