import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AmqpError } from '../amqp-error.ts';
import {
  createFrameReader,
  encodeContentFrames,
  encodeMethodFrame,
  type Frame,
  METHOD_FRAME,
} from './frames.ts';
import { decodeMethod } from './method.ts';
import { decodeProperties, encodeProperties, type Properties } from './properties.ts';
import { type Fields, type MethodName, methods, type ValueType } from './spec.ts';
import { type Field, readTable, type Table, writeTable } from './table.ts';
import { createReader, encode } from './wire.ts';

const RUNS = { numRuns: 300, seed: 1 };

const shortstr = fc
  .string({ unit: 'grapheme', maxLength: 60 })
  .filter((text) => Buffer.byteLength(text) < 256);
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const record = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const unsigned = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const signed = (bits: number) => fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });

const { table } = fc.letrec<{ field: Field; table: Table }>((tie) => ({
  table: fc.array(fc.tuple(shortstr, tie('field')), { maxLength: 5 }).map((entries) => new Map(entries)),
  field: fc.oneof(
    { maxDepth: 3 },
    fieldOf('t', fc.boolean()),
    fieldOf('b', signed(8)),
    fieldOf('B', unsigned(8)),
    fieldOf('s', signed(16)),
    fieldOf('u', unsigned(16)),
    fieldOf('I', signed(32)),
    fieldOf('i', unsigned(32)),
    fieldOf('l', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    fieldOf('f', fc.float()),
    fieldOf('d', fc.double()),
    fieldOf('D', record({ scale: unsigned(8), digits: unsigned(32) })),
    fieldOf('S', bytes),
    fieldOf('x', bytes),
    fieldOf('T', fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    fieldOf('V', fc.constant(undefined)),
    fieldOf('A', fc.array(tie('field'), { maxLength: 4 })),
    fieldOf('F', tie('table')),
  ),
}));

function fieldOf(type: Field['type'], values: fc.Arbitrary<unknown>): fc.Arbitrary<Field> {
  return values.map((value) => ({ type, value }) as Field);
}

const values: Record<ValueType, fc.Arbitrary<unknown>> = {
  bit: fc.boolean(),
  octet: unsigned(8),
  short: unsigned(16),
  long: unsigned(32),
  longlong: fc.maxSafeNat(),
  timestamp: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  shortstr,
  longstr: bytes,
  table,
};

function fieldsOf(name: MethodName): fc.Arbitrary<Fields<MethodName>> {
  const types = Object.entries(methods[name].fields) as [string, ValueType][];
  return record(Object.fromEntries(types.map(([field, type]) => [field, values[type]]))) as never;
}

describe('the codec', () => {
  it('reads every table as it was written', () => {
    fc.assert(
      fc.property(table, (written) => {
        const reader = createReader(encode((writer) => writeTable(writer, written)));
        assert.deepEqual(readTable(reader), written);
        assert.equal(reader.offset, reader.bytes.length);
      }),
      RUNS,
    );
  });

  it('reads every method as it was written', () => {
    for (const name of Object.keys(methods) as MethodName[])
      fc.assert(
        fc.property(fieldsOf(name), unsigned(16), (fields, channelId) => {
          const [frame] = readFrames([encodeMethodFrame(channelId, name, fields)]);
          assert.equal(frame?.channelId, channelId);
          assert.deepEqual(decodeMethod(frame?.payload as Buffer), { name, fields });
        }),
        { ...RUNS, numRuns: 30 },
      );
  });

  it('reads properties as they were written', () => {
    const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const properties = record({
      contentType: optional(shortstr),
      headers: optional(table),
      deliveryMode: optional(unsigned(8)),
      expiration: optional(shortstr),
      timestamp: optional(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
      clusterId: optional(shortstr),
    });
    fc.assert(
      fc.property(properties, (written) => {
        const present = Object.fromEntries(
          Object.entries(written).filter(([, value]) => value !== undefined),
        );
        assert.deepEqual(decodeProperties(encodeProperties(written as Properties)), present);
      }),
      RUNS,
    );
  });

  it('cuts a body to the frame size and reads it whole, however the bytes arrive', () => {
    const chunkSizes = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20_000 }), chunkSizes, (array, sizes) => {
        const body = Buffer.from(array);
        const fields = {
          consumerTag: 't',
          deliveryTag: 1,
          redelivered: false,
          exchange: '',
          routingKey: 'k',
        };
        const properties = encodeProperties({ contentType: 'a/b' });
        const sent = encodeContentFrames({
          channelId: 1,
          name: 'basic.deliver',
          fields,
          properties,
          body,
          maxFrameBytes: 4_096,
        });
        const [method, header, ...bodies] = readFrames(sliced(sent, sizes));
        assert.equal(method?.type, METHOD_FRAME);
        assert.equal(header?.payload.readUInt32BE(8), body.length);
        assert.ok(bodies.every(({ payload }) => payload.length <= 4_088));
        assert.ok(Buffer.concat(bodies.map(({ payload }) => payload)).equals(body));
      }),
      { ...RUNS, numRuns: 100 },
    );
  });

  it('complains of any bytes, and never otherwise than with an AMQP error', () => {
    const complain = (read: () => unknown) => {
      try {
        read();
      } catch (error) {
        assert.ok(error instanceof AmqpError, String(error));
      }
    };
    const ids = fc.constantFrom(...Object.values(methods).map(({ id }) => id));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), ids, (array, [classId, methodId]) => {
        const bytes = Buffer.from(array);
        complain(() => readTable(createReader(bytes)));
        complain(() => decodeProperties(bytes));
        complain(() => decodeMethod(bytes));
        complain(() => decodeMethod(Buffer.concat([Buffer.from([0, classId, 0, methodId]), bytes])));
      }),
      { seed: 1, numRuns: 3_000 },
    );
  });

  it('complains of tables nested without end', () => {
    let nested: Field = { type: 'A', value: [] };
    for (let depth = 0; depth < 100; depth += 1) nested = { type: 'A', value: [nested] };
    const written = encode((writer) => writeTable(writer, new Map([['a', nested]])));
    assert.throws(() => readTable(createReader(written)), /nested too deep/);
  });
});

function readFrames(chunks: Buffer[]): Frame[] {
  const reader = createFrameReader();
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let frame = reader.next(131_072); frame; frame = reader.next(131_072)) frames.push(frame);
  }
  return frames;
}

function sliced(bytes: Buffer, sizes: number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let start = 0, i = 0; start < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] as number;
    chunks.push(bytes.subarray(start, start + size));
    start += size;
  }
  return chunks;
}
