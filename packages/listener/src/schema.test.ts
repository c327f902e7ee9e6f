/** A handler with a schema: what it is given, and what the sender of anything else is told. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type } from 'arktype';
import Type, { type Static } from 'typebox';
import * as v from 'valibot';
import * as z from 'zod';
import { createListener } from './create-listener.ts';
import type { EventWith, Handlers } from './handler.ts';
import type { DataError } from './invalid-data.ts';
import { jsonSchema } from './json-schema.ts';
import { oncePerEvent } from './once-per-event.ts';
import type { DataOf, Schema } from './schema.ts';

type Order = { sku: string; lines: { quantity: number }[] };

const TypeBoxOrder = Type.Object({
  sku: Type.String(),
  lines: Type.Array(Type.Object({ quantity: Type.Number() })),
});

/** The same by each library. */
const schemas: Record<string, Schema<Order>> = {
  Zod: z.object({ sku: z.string(), lines: z.array(z.object({ quantity: z.number() })) }),
  Valibot: v.object({ sku: v.string(), lines: v.array(v.object({ quantity: v.number() })) }),
  ArkType: type({ sku: 'string', lines: type({ quantity: 'number' }).array() }),
  TypeBox: jsonSchema<Static<typeof TypeBoxOrder>>(TypeBoxOrder),
  'JSON Schema': jsonSchema<Order>({
    type: 'object',
    required: ['sku', 'lines'],
    properties: {
      sku: { type: 'string' },
      lines: {
        type: 'array',
        items: { type: 'object', required: ['quantity'], properties: { quantity: { type: 'number' } } },
      },
    },
  }),
};

describe('a handler with a schema', () => {
  const broker = createMemoryBroker();
  after(() => broker.close());
  let services = 0;

  /** Starts a listener with handlers that note what they are called with. */
  function start(schema: Schema, attempt: (data: unknown) => void = () => {}) {
    const seen: unknown[] = [];
    const service = `service-${++services}`;
    const name = `Order.Place.${services}`;
    const handle = ({ data }: EventWith<unknown>) => {
      seen.push(data);
      attempt(data);
      return { reply: { type: 'Order.Placed' } };
    };
    const { publisher, subscriber } = broker.connect({ topology: { service, types: [name] } });
    const listener = createListener({
      service,
      handlers: { [name]: { schema, handle } },
      publisher,
      subscriber,
    });
    after(() => listener.close());
    return { seen, ask: (event: Partial<CloudEvent>) => broker.ask({ ...event, type: name }), name };
  }

  const valid: Order = { sku: 'x', lines: [{ quantity: 1 }] };

  for (const [library, schema] of Object.entries(schemas)) {
    it(`takes what is valid by ${library}`, async () => {
      const { ask, seen } = start(schema);
      assert.equal((await ask({ data: valid })).type, 'Order.Placed');
      assert.deepEqual(seen, [valid]);
    });

    it(`has the sender of what is invalid by ${library} told where, without being called`, async () => {
      const { ask, seen } = start(schema);
      const { data } = await ask({ id: 'wrong', data: { lines: [{ quantity: 1 }, { quantity: 'two' }] } });
      const { type: problemType, status, code, errors, event_id } = data as Record<string, unknown>;
      assert.deepEqual(
        [problemType, status, code, event_id],
        ['urn:waybill:problem:invalid-data', 422, 'invalid-data', 'wrong'],
      );
      assert.deepEqual(
        new Set((errors as DataError[]).map(({ pointer }) => pointer)),
        new Set(['#/sku', '#/lines/1/quantity']),
      );
      assert.ok((errors as DataError[]).every(({ detail }) => detail.length > 0));
      assert.deepEqual(seen, []);
    });
  }

  it('is given the data as the schema gives it back', async () => {
    const { ask, seen } = start(z.object({ sku: z.string().toUpperCase(), count: z.int().default(1) }));
    await ask({ data: { sku: 'abc', unknown: true } });
    assert.deepEqual(seen, [{ sku: 'ABC', count: 1 }]);
  });

  it('is tried again with the data as it came', async () => {
    const { ask, seen } = start(
      z.object({ sku: z.string().transform((sku) => `${sku}!`) }),
      () => seen.length === 1 && assert.fail('not yet'),
    );
    await ask({ data: { sku: 'a' } });
    assert.deepEqual(seen, [{ sku: 'a!' }, { sku: 'a!' }]);
  });

  it('waits for a schema that is asynchronous', async () => {
    const known = z.string().refine(async (sku) => sku === 'known', 'is not in the catalogue');
    const { ask, seen } = start(known);
    const { data } = await ask({ data: 'other' });
    assert.deepEqual((data as { errors: unknown }).errors, [
      { pointer: '#', detail: 'is not in the catalogue' },
    ]);
    await ask({ data: 'known' });
    assert.deepEqual(seen, ['known']);
  });

  it('says of bytes that they are no JSON', async () => {
    const { ask } = start(z.object({}));
    const { data } = await ask({ data_base64: 'AQID', datacontenttype: 'text/plain' });
    assert.deepEqual((data as { errors: unknown }).errors, [
      { pointer: '#', detail: 'must be JSON, and is bytes (content type: text/plain)' },
    ]);
  });

  it('leaves no dead letter of a mistake that its sender is told, and one of a mistake that nobody waits for', async () => {
    const { ask, name } = start(z.object({ sku: z.string() }));
    await ask({ data: {} });
    const unawaited = { specversion: '1.0', id: 'unawaited', source: '/test', type: name, data: {} };
    await broker.publisher.publish({
      to: { type: name },
      contentType: 'application/cloudevents+json',
      body: Buffer.from(JSON.stringify(unawaited)),
    });
    const dead = await eventually(async () => {
      const message = await broker.inspect.take({ deadLetters: true });
      assert.ok(message);
      return message;
    });
    const { id } = JSON.parse(dead.body.toString());
    const { 'waybill-error-code': code, 'waybill-attempts': attempts } = dead.headers;
    assert.deepEqual([id, code, attempts], ['unawaited', 'invalid-data', 1]);
    assert.equal((await broker.inspect.depth({ deadLetters: true })).ready, 0);
  });

  it('is not created with what is no schema', () => {
    const wrong = { type: 'object' } as unknown as Schema;
    assert.throws(() => start(wrong), { code: 'invalid-config', message: /jsonSchema/ });
  });

  it('has the type of its schema, beside handlers of other types and of none', () => {
    const of = <Data extends Record<string, unknown>>(handlers: Handlers<Data>) => handlers;
    const Sku = z.object({ sku: z.string() });
    const made = of({
      zod: {
        schema: Sku,
        handle: ({ data }) => {
          // @ts-expect-error: it is a string
          data.sku satisfies number;
          return { reply: { type: 'T', data: data.sku.length } };
        },
      },
      valibot: { schema: v.object({ count: v.number() }), handle: ({ data }) => void data.count.toFixed() },
      arktype: { schema: type({ at: 'string' }), handle: async ({ data }) => void data.at.trim() },
      typed: { schema: jsonSchema<Order>({}), handle: ({ data: { lines } }) => void lines[0]?.quantity },
      once: { schema: Sku, handle: oncePerEvent(({ data }) => void data.sku.length) },
      // @ts-expect-error: without a schema nothing is known of it
      plain: ({ data }) => void data.sku,
      // @ts-expect-error: a JSON Schema that is told no type says nothing to TypeScript
      untyped: { schema: jsonSchema({}), handle: ({ data }) => void data.sku },
    });
    const data: DataOf<typeof Sku> = { sku: 'x' };
    assert.deepEqual([Object.keys(made).length, data.sku], [7, 'x']);
  });
});
