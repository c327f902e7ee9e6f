/**
 * Writes Protocol Buffers (their encoding as of proto3), in one pass and into one buffer that is kept.
 *
 * The lengths of messages stand before them, and are known behind them: room for one is left, and the message moved where it takes
 * another. Texts are written by Node, not letter by letter.
 */

/** Wire types. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** Most that a number of any kind takes, its tag included; and a tag and a length. */
const MAX_NUMBER_BYTES = 16;
/** UTF-8 takes no more for one of JavaScript's. */
const MAX_LETTER_BYTES = 3;
const SECOND_NS = 1e9;
const HALF = 2 ** 16;
const WORD = 2 ** 32;

export type ProtobufWriter = ReturnType<typeof createProtobufWriter>;

/** What there is room for at first. */
const INITIAL_BYTES = 64 * 1024;

/** Creates a writer. */
export function createProtobufWriter() {
  let buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  let end = 0;

  function reserve(bytes: number): void {
    if (end + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * buffer.length, end + bytes));
    buffer.copy(larger, 0, 0, end);
    buffer = larger;
  }

  function varint(value: number): void {
    let rest = value;
    while (rest > 127) {
      buffer[end++] = (rest & 127) | 128;
      rest = Math.floor(rest / 128);
    }
    buffer[end++] = rest;
  }

  function longVarint(value: bigint): void {
    let rest = value;
    for (; rest > 127n; rest >>= 7n) buffer[end++] = Number(rest & 127n) | 128;
    buffer[end++] = Number(rest);
  }

  function tag(field: number, wireType: number): void {
    varint((field << 3) | wireType);
  }

  return {
    /** An integer of any size up to 64 bits; one below 0 takes ten bytes. */
    integer(field: number, value: number): void {
      reserve(MAX_NUMBER_BYTES);
      tag(field, VARINT);
      if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) varint(value);
      else longVarint(BigInt.asUintN(64, BigInt(value)));
    },
    fixed32(field: number, value: number): void {
      reserve(MAX_NUMBER_BYTES);
      tag(field, FIXED32);
      end = buffer.writeUInt32LE(value, end);
    },
    double(field: number, value: number): void {
      reserve(MAX_NUMBER_BYTES);
      tag(field, FIXED64);
      end = buffer.writeDoubleLE(value, end);
    },
    /** A time in nanoseconds, which no double holds, by its seconds and the rest. */
    time(field: number, [seconds, nanoseconds]: readonly [number, number]): void {
      reserve(MAX_NUMBER_BYTES);
      tag(field, FIXED64);
      const upper = Math.floor(seconds / HALF) * SECOND_NS;
      const lower = (seconds % HALF) * SECOND_NS + nanoseconds;
      const low = (upper % HALF) * HALF + (lower % WORD);
      const high = Math.floor(upper / HALF) + Math.floor(lower / WORD) + Math.floor(low / WORD);
      buffer.writeUInt32LE((low % WORD) >>> 0, end);
      end = buffer.writeUInt32LE(high, end + 4);
    },
    text(field: number, value: string): void {
      reserve(MAX_NUMBER_BYTES + MAX_LETTER_BYTES * value.length);
      tag(field, LENGTH_DELIMITED);
      varint(Buffer.byteLength(value));
      end += buffer.write(value, end);
    },
    /** Bytes that are given as hexadecimal digits. */
    hex(field: number, digits: string): void {
      reserve(MAX_NUMBER_BYTES + digits.length);
      tag(field, LENGTH_DELIMITED);
      varint(digits.length / 2);
      end += buffer.write(digits, end, 'hex');
    },
    bytes(field: number, value: Uint8Array): void {
      reserve(MAX_NUMBER_BYTES + value.length);
      tag(field, LENGTH_DELIMITED);
      varint(value.length);
      buffer.set(value, end);
      end += value.length;
    },
    /**
     * Begins a message, whose fields are written next; returns what `endMessage` is to be given behind the last of them. Room is
     * left for a length of `lengthBytes`: one does for up to 127, two for 16,383.
     */
    beginMessage(field: number, lengthBytes = 1): number {
      reserve(MAX_NUMBER_BYTES);
      tag(field, LENGTH_DELIMITED);
      end += lengthBytes;
      return end;
    },
    /** Ends a message that was begun with the same `lengthBytes`; returns whether its fields had to be moved. */
    endMessage(start: number, lengthBytes = 1): boolean {
      const length = end - start;
      const moveBy = varintBytes(length) - lengthBytes;
      reserve(MAX_NUMBER_BYTES);
      if (moveBy !== 0) buffer.copyWithin(start + moveBy, start, end);
      end = start - lengthBytes;
      varint(length);
      end += length;
      return moveBy !== 0;
    },
    /** Where the next field will be. */
    position: () => end,
    /** Writes what is from `from` to `to` once more. */
    repeat(from: number, to: number): void {
      reserve(to - from);
      buffer.copyWithin(end, from, to);
      end += to - from;
    },
    /** Begins anew. */
    clear(): void {
      end = 0;
    },
    /** A copy of what was written. */
    finish: (): Uint8Array => new Uint8Array(buffer.subarray(0, end)),
  };
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}
