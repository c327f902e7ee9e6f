/** The properties of a message: a flag for each, then those that are present (AMQP 0-9-1, section 4.2.6.1). */
import { AmqpError } from '../amqp-error.ts';
import { valueCodecs } from './method.ts';
import type { Values, ValueType } from './spec.ts';
import { createReader, encode, type Reader, readShort, reserve, type Writer } from './wire.ts';

/** In the order of their flags, from the highest bit down. */
const layout = {
  contentType: 'shortstr',
  contentEncoding: 'shortstr',
  headers: 'table',
  deliveryMode: 'octet',
  priority: 'octet',
  correlationId: 'shortstr',
  replyTo: 'shortstr',
  expiration: 'shortstr',
  messageId: 'shortstr',
  timestamp: 'timestamp',
  type: 'shortstr',
  userId: 'shortstr',
  appId: 'shortstr',
  clusterId: 'shortstr',
} as const satisfies Record<string, Exclude<ValueType, 'bit'>>;

export type Properties = { [P in keyof typeof layout]?: Values[(typeof layout)[P]] };

type AnyCodec = { read(reader: Reader): unknown; write(writer: Writer, value: unknown): void };
const entries = Object.entries(layout).map(([name, type], i) => ({
  name: name as keyof Properties,
  codec: valueCodecs[type] as AnyCodec,
  flag: 1 << (15 - i),
}));

/** Reads flags and values, to the end of `bytes`. */
export function decodeProperties(bytes: Buffer): Properties {
  const reader = createReader(bytes);
  const flags = readShort(reader);
  if (flags & 0b11) throw new AmqpError('SYNTAX_ERROR', 'unknown property');
  const properties: Record<string, unknown> = {};
  for (const { name, codec, flag } of entries) if (flags & flag) properties[name] = codec.read(reader);
  if (reader.offset !== bytes.length) throw new AmqpError('SYNTAX_ERROR', 'bytes after the properties');
  return properties as Properties;
}

/** Flags and values. */
export function encodeProperties(properties: Properties): Buffer {
  return encode((writer) => {
    const flagsAt = reserve(writer, 2);
    let flags = 0;
    for (const { name, codec, flag } of entries) {
      if (properties[name] === undefined) continue;
      flags |= flag;
      codec.write(writer, properties[name]);
    }
    writer.bytes.writeUInt16BE(flags, flagsAt);
  });
}
