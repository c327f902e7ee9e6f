/** Methods to and from bytes, by the table in spec.ts. */
import { AmqpError } from '../amqp-error.ts';
import { type Fields, type Method, type MethodName, methods, type Values, type ValueType } from './spec.ts';
import { readTable, writeTable } from './table.ts';
import * as wire from './wire.ts';

type ValueCodec<T extends ValueType> = {
  read(reader: wire.Reader): Values[T];
  write(writer: wire.Writer, value: Values[T]): void;
};

/** All but bits, which share octets. */
export const valueCodecs: { [T in Exclude<ValueType, 'bit'>]: ValueCodec<T> } = {
  octet: { read: wire.readOctet, write: wire.writeOctet },
  short: { read: wire.readShort, write: wire.writeShort },
  long: { read: wire.readLong, write: wire.writeLong },
  longlong: { read: wire.readLongLong, write: wire.writeLongLong },
  timestamp: { read: wire.readTimestamp, write: wire.writeTimestamp },
  shortstr: { read: wire.readShortString, write: wire.writeShortString },
  longstr: { read: wire.readLongString, write: wire.writeLongString },
  table: { read: (reader) => readTable(reader), write: writeTable },
};

type AnyCodec = { read(reader: wire.Reader): unknown; write(writer: wire.Writer, value: unknown): void };
type Layout = { name: MethodName; id: readonly [number, number]; fields: [string, ValueType][] };

const layouts = new Map<string, Layout>();
const namesById = new Map<number, Layout>();
for (const [name, { id, fields }] of Object.entries(methods)) {
  const layout = { name: name as MethodName, id, fields: Object.entries(fields) as [string, ValueType][] };
  layouts.set(name, layout);
  namesById.set(toKey(id[0], id[1]), layout);
}

/** Reads the payload of a method frame. Throws `COMMAND_INVALID` for a method that does not exist. */
export function decodeMethod(payload: Buffer): Method {
  const reader = wire.createReader(payload);
  const [classId, methodId] = [wire.readShort(reader), wire.readShort(reader)];
  const layout = namesById.get(toKey(classId, methodId));
  if (!layout) throw new AmqpError('COMMAND_INVALID', `there is no method ${classId},${methodId}`);
  const fields = readFields(reader, layout.fields);
  if (reader.offset !== payload.length)
    throw new AmqpError('SYNTAX_ERROR', `too many arguments for ${layout.name}`);
  return { name: layout.name, fields } as Method;
}

export function writeMethod<N extends MethodName>(writer: wire.Writer, name: N, fields: Fields<N>): void {
  const { id, fields: layout } = layouts.get(name) as Layout;
  wire.writeShort(writer, id[0]);
  wire.writeShort(writer, id[1]);
  writeFields(writer, layout, fields);
}

/** Class and method id, as a close names its cause. */
export function methodId(name: MethodName): readonly [number, number] {
  return methods[name].id;
}

function toKey(classId: number, methodId: number): number {
  return classId * 65_536 + methodId;
}

function readFields(reader: wire.Reader, layout: [string, ValueType][]): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  let bits = 0;
  let usedBits = 8;
  for (const [name, type] of layout) {
    if (type !== 'bit') {
      fields[name] = valueCodecs[type].read(reader);
      usedBits = 8;
      continue;
    }
    if (usedBits === 8) {
      bits = wire.readOctet(reader);
      usedBits = 0;
    }
    fields[name] = ((bits >> usedBits) & 1) === 1;
    usedBits += 1;
  }
  return fields;
}

function writeFields(
  writer: wire.Writer,
  layout: [string, ValueType][],
  fields: Record<string, unknown>,
): void {
  let bitsAt = 0;
  let usedBits = 8;
  for (const [name, type] of layout) {
    if (type !== 'bit') {
      (valueCodecs[type] as AnyCodec).write(writer, fields[name]);
      usedBits = 8;
      continue;
    }
    if (usedBits === 8) {
      bitsAt = wire.reserve(writer, 1);
      writer.bytes[bitsAt] = 0;
      usedBits = 0;
    }
    if (fields[name]) writer.bytes[bitsAt] = (writer.bytes[bitsAt] as number) | (1 << usedBits);
    usedBits += 1;
  }
}
