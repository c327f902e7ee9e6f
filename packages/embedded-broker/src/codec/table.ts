/**
 * Field tables (AMQP 0-9-1, section 4.2.5.5, with RabbitMQ's type letters). A field keeps its type, so that what one
 * client writes another reads unchanged, a double 3 as a double.
 */
import { AmqpError } from '../amqp-error.ts';
import {
  type Reader,
  readLong,
  readLongString,
  readOctet,
  readShortString,
  readTimestamp,
  reserve,
  take,
  type Writer,
  writeLong,
  writeLongString,
  writeOctet,
  writeShortString,
  writeTimestamp,
} from './wire.ts';

type FieldValues = {
  t: boolean;
  b: number;
  B: number;
  s: number;
  u: number;
  I: number;
  i: number;
  f: number;
  d: number;
  l: bigint;
  T: bigint;
  D: { scale: number; digits: number };
  S: Buffer;
  x: Buffer;
  A: Field[];
  F: Table;
  V: undefined;
};
type FieldType = keyof FieldValues;

export type Field = { [T in FieldType]: { type: T; value: FieldValues[T] } }[FieldType];

/** A map and no object, because clients choose the names. */
export type Table = Map<string, Field>;

type FieldCodec<V> = {
  read(reader: Reader, depth: number): V;
  write(writer: Writer, value: V): void;
};

/** Each level costs stack; nobody nests deeper on purpose. */
const MAX_DEPTH = 64;

const codecs: { [T in FieldType]: FieldCodec<FieldValues[T]> } = {
  t: {
    read: (reader) => readOctet(reader) !== 0,
    write: (writer, value) => writeOctet(writer, Number(value)),
  },
  b: fixed(1, 'readInt8', 'writeInt8'),
  B: fixed(1, 'readUInt8', 'writeUInt8'),
  s: fixed(2, 'readInt16BE', 'writeInt16BE'),
  u: fixed(2, 'readUInt16BE', 'writeUInt16BE'),
  I: fixed(4, 'readInt32BE', 'writeInt32BE'),
  i: fixed(4, 'readUInt32BE', 'writeUInt32BE'),
  f: fixed(4, 'readFloatBE', 'writeFloatBE'),
  d: fixed(8, 'readDoubleBE', 'writeDoubleBE'),
  l: {
    read: (reader) => reader.bytes.readBigInt64BE(take(reader, 8)),
    write(writer, value) {
      const at = reserve(writer, 8);
      writer.bytes.writeBigInt64BE(value, at);
    },
  },
  T: { read: readTimestamp, write: writeTimestamp },
  D: {
    read: (reader) => ({ scale: readOctet(reader), digits: readLong(reader) }),
    write(writer, { scale, digits }) {
      writeOctet(writer, scale);
      writeLong(writer, digits);
    },
  },
  S: { read: readLongString, write: writeLongString },
  x: { read: readLongString, write: writeLongString },
  A: { read: readArray, write: writeArray },
  F: { read: readTable, write: writeTable },
  V: { read: () => undefined, write: () => {} },
};

export function readTable(reader: Reader, depth = 0): Table {
  const table: Table = new Map();
  const end = readEnd(reader, depth);
  while (reader.offset < end) table.set(readShortString(reader), readField(reader, depth + 1));
  expectEnd(reader, end);
  return table;
}

export function writeTable(writer: Writer, table: Table): void {
  writeSized(writer, () => {
    for (const [name, field] of table) {
      writeShortString(writer, name);
      writeField(writer, field);
    }
  });
}

/** A text field, the type that clients write and read texts as. */
export function text(value: string): Field {
  return { type: 'S', value: Buffer.from(value) };
}

/** A number that fits in 64 bits, as RabbitMQ writes counts. */
export function integer(value: number): Field {
  return { type: 'l', value: BigInt(value) };
}

/** The text of a field that is one. */
export function textOf(field: Field | undefined): string | undefined {
  return field?.type === 'S' ? String(field.value) : undefined;
}

/** The number of a field that is an integer of any size. */
export function integerOf(field: Field | undefined): number | undefined {
  switch (field?.type) {
    case 'b':
    case 'B':
    case 's':
    case 'u':
    case 'I':
    case 'i':
    case 'l':
      return Number(field.value);
    default:
      return undefined;
  }
}

function readField(reader: Reader, depth: number): Field {
  // Some clients write a 64-bit integer as the specification says, and not as RabbitMQ reads it.
  const letter = String.fromCharCode(readOctet(reader)).replace('L', 'l');
  if (!Object.hasOwn(codecs, letter)) throw new AmqpError('SYNTAX_ERROR', `unknown field type '${letter}'`);
  const type = letter as FieldType;
  return { type, value: codecs[type].read(reader, depth) } as Field;
}

function writeField(writer: Writer, { type, value }: Field): void {
  writeOctet(writer, type.charCodeAt(0));
  (codecs[type] as FieldCodec<unknown>).write(writer, value);
}

function readArray(reader: Reader, depth: number): Field[] {
  const fields: Field[] = [];
  const end = readEnd(reader, depth);
  while (reader.offset < end) fields.push(readField(reader, depth + 1));
  expectEnd(reader, end);
  return fields;
}

function writeArray(writer: Writer, fields: Field[]): void {
  writeSized(writer, () => {
    for (const field of fields) writeField(writer, field);
  });
}

function readEnd(reader: Reader, depth: number): number {
  if (depth > MAX_DEPTH) throw new AmqpError('SYNTAX_ERROR', 'tables are nested too deep');
  const end = readLong(reader) + reader.offset;
  if (end > reader.bytes.length) throw new AmqpError('SYNTAX_ERROR', 'table is cut short');
  return end;
}

function expectEnd(reader: Reader, end: number): void {
  if (reader.offset !== end) throw new AmqpError('SYNTAX_ERROR', 'table is longer than it says');
}

function writeSized(writer: Writer, write: () => void): void {
  const at = reserve(writer, 4);
  write();
  writer.bytes.writeUInt32BE(writer.offset - at - 4, at);
}

type NumberReader =
  | 'readInt8'
  | 'readUInt8'
  | 'readInt16BE'
  | 'readUInt16BE'
  | 'readInt32BE'
  | 'readUInt32BE'
  | 'readFloatBE'
  | 'readDoubleBE';
type NumberWriter =
  | 'writeInt8'
  | 'writeUInt8'
  | 'writeInt16BE'
  | 'writeUInt16BE'
  | 'writeInt32BE'
  | 'writeUInt32BE'
  | 'writeFloatBE'
  | 'writeDoubleBE';

function fixed(length: number, read: NumberReader, write: NumberWriter): FieldCodec<number> {
  return {
    read: (reader: Reader) => reader.bytes[read](take(reader, length)),
    write(writer: Writer, value: number) {
      const at = reserve(writer, length);
      writer.bytes[write](value, at);
    },
  };
}
