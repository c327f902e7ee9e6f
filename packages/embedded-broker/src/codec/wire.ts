/**
 * The elementary values of AMQP 0-9-1 (section 4.2.5): one reader and one writer, and the types of method arguments
 * and properties by name. A reader that runs out of bytes throws `SYNTAX_ERROR`.
 */
import { isUtf8 } from 'node:buffer';
import { AmqpError } from '../amqp-error.ts';

export type Reader = { bytes: Buffer; offset: number };
export type Writer = { bytes: Buffer; offset: number };

export function createReader(bytes: Buffer): Reader {
  return { bytes, offset: 0 };
}

/** Used by every {@link encode}, one after the other. What a large message made of it is let go again. */
const scratch: Writer = { bytes: Buffer.allocUnsafe(64 * 1024), offset: 0 };
const MAX_KEPT_BYTES = 1024 * 1024;

/** The bytes that `write` writes. Must not be nested. */
export function encode(write: (writer: Writer) => void): Buffer {
  scratch.offset = 0;
  write(scratch);
  const { bytes, offset } = scratch;
  if (bytes.length <= MAX_KEPT_BYTES) return Buffer.from(bytes.subarray(0, offset));
  scratch.bytes = Buffer.allocUnsafe(MAX_KEPT_BYTES);
  return bytes.subarray(0, offset);
}

/** Moves past `length` bytes and returns where they begin. */
export function take(reader: Reader, length: number): number {
  const start = reader.offset;
  reader.offset += length;
  if (reader.offset > reader.bytes.length) throw new AmqpError('SYNTAX_ERROR', 'value is cut short');
  return start;
}

/** Makes room for `length` bytes and returns where they begin. */
export function reserve(writer: Writer, length: number): number {
  const start = writer.offset;
  writer.offset += length;
  if (writer.offset > writer.bytes.length) {
    const grown = Buffer.allocUnsafe(2 * writer.offset);
    writer.bytes.copy(grown, 0, 0, start);
    writer.bytes = grown;
  }
  return start;
}

export function readOctet(reader: Reader): number {
  return reader.bytes.readUInt8(take(reader, 1));
}

export function writeOctet(writer: Writer, value: number): void {
  const at = reserve(writer, 1);
  writer.bytes.writeUInt8(value, at);
}

export function readShort(reader: Reader): number {
  return reader.bytes.readUInt16BE(take(reader, 2));
}

export function writeShort(writer: Writer, value: number): void {
  const at = reserve(writer, 2);
  writer.bytes.writeUInt16BE(value, at);
}

export function readLong(reader: Reader): number {
  return reader.bytes.readUInt32BE(take(reader, 4));
}

export function writeLong(writer: Writer, value: number): void {
  const at = reserve(writer, 4);
  writer.bytes.writeUInt32BE(value, at);
}

export function readTimestamp(reader: Reader): bigint {
  return reader.bytes.readBigUInt64BE(take(reader, 8));
}

export function writeTimestamp(writer: Writer, value: bigint): void {
  const at = reserve(writer, 8);
  writer.bytes.writeBigUInt64BE(value, at);
}

/** Delivery tags and sizes: exact up to 2^53, which no broker gets to. */
export function readLongLong(reader: Reader): number {
  return Number(readTimestamp(reader));
}

export function writeLongLong(writer: Writer, value: number): void {
  writeTimestamp(writer, BigInt(value));
}

export function readShortString(reader: Reader): string {
  const length = readOctet(reader);
  const start = take(reader, length);
  const text = reader.bytes.toString('utf8', start, start + length);
  if (text.includes('\uFFFD') && !isUtf8(reader.bytes.subarray(start, start + length)))
    throw new AmqpError('SYNTAX_ERROR', 'short string is not UTF-8');
  return text;
}

export function writeShortString(writer: Writer, value: string): void {
  const length = Buffer.byteLength(value);
  writeOctet(writer, length);
  const at = reserve(writer, length);
  writer.bytes.write(value, at);
}

/** A copy, because the bytes read from are those of a whole read from a socket. */
export function readLongString(reader: Reader): Buffer {
  const length = readLong(reader);
  const start = take(reader, length);
  return Buffer.from(reader.bytes.subarray(start, start + length));
}

export function writeLongString(writer: Writer, value: Buffer): void {
  writeLong(writer, value.length);
  const at = reserve(writer, value.length);
  value.copy(writer.bytes, at);
}
