/** What clients are told of the data of types, in OpenAPI and AsyncAPI. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';
import type { TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import Fastify, { type FastifyInstance } from 'fastify';
import { publicDescriptions } from './describe-types.ts';
import { addDocs } from './docs-page.ts';
import { eventRouteSchema } from './openapi/event-routes.ts';

const example = { sku: 'x', lines: [{ quantity: 1 }] };
const types: TypeDescriptions = {
  'Order.Place': {
    data: {
      type: 'object',
      required: ['sku'],
      properties: { sku: { $ref: '#/$defs/sku' }, lines: { type: 'array' } },
      $defs: { sku: { type: 'string' } },
      examples: [example],
    },
  },
  Ping: {},
};

describe('what clients are told of types', () => {
  let app: FastifyInstance;
  let told = types;
  before(async () => {
    app = Fastify();
    app.setValidatorCompiler(() => () => true);
    await addDocs(app, () => told);
    app.post('/events', { schema: eventRouteSchema }, async () => {});
  });
  after(() => app.close());

  // biome-ignore lint/suspicious/noExplicitAny: documents of many shapes.
  const get = async (url: string) => (await app.inject(url)).json<any>();

  /** What `/openapi.json` says of a plain event. */
  async function plainContent(url = '/openapi.json') {
    const document = await get(url);
    const { schema, examples } = document.paths['/events'].post.requestBody.content['application/json'];
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    return { isValid: ajv.compile({ ...schema, components: document.components }), examples };
  }

  it('is what is known when they ask', async () => {
    told = { ...types, Later: {} };
    try {
      for (const path of ['/openapi.json', '/docs/json', '/asyncapi.json'])
        assert.match(JSON.stringify(await get(path)), /"const":"Later"/, path);
    } finally {
      told = types;
    }
    for (const path of ['/openapi.json', '/docs/json', '/asyncapi.json'])
      assert.doesNotMatch(JSON.stringify(await get(path)), /Later/, path);
  });

  it('takes from the schema what the data has to be, and other types as they were', async () => {
    const { isValid } = await plainContent();
    for (const event of [
      { type: 'Order.Place', data: example },
      { id: '1', type: 'Order.Place', data: { sku: 'x' } },
      { type: 'Ping' },
      { type: 'Other', data: 7 },
    ])
      assert.ok(isValid(event), JSON.stringify(event));
    for (const event of [
      { type: 'Order.Place' },
      { type: 'Order.Place', data: {} },
      { type: 'Order.Place', data: { sku: 7 } },
      { type: 'no type' },
      { data: example },
    ])
      assert.ok(!isValid(event), JSON.stringify(event));
  });

  it('has the examples of the schema as events that can be sent, also on the page', async () => {
    for (const url of ['/openapi.json', '/docs/json']) {
      const { examples, isValid } = await plainContent(url);
      assert.deepEqual(examples, { 'Order.Place': { value: { type: 'Order.Place', data: example } } });
      assert.ok(isValid(examples['Order.Place'].value));
    }
  });

  it('is an AsyncAPI document by its published schema', async () => {
    const schema = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0-without-$id.json');
    const ajv = new Ajv({ strict: false });
    addFormats.default(ajv);
    const isAsyncApi = (value: unknown): boolean => ajv.validate(schema, value);
    const document = await get('/asyncapi.json');
    assert.ok(isAsyncApi(document), JSON.stringify(ajv.errors?.slice(0, 3)));
    assert.ok(!isAsyncApi({ ...document, operations: { answerEvent: { action: 'answer' } } }));
    const { messages, schemas } = document.components;
    assert.deepEqual(Object.keys(messages), ['Order.Place', 'Ping', 'reply', 'problem']);
    assert.deepEqual(messages['Order.Place'].payload.properties.data, {
      $ref: '#/components/schemas/Order.Place',
    });
    assert.deepEqual(schemas['Order.Place'].properties.sku, {
      $ref: '#/components/schemas/Order.Place/$defs/sku',
    });
    assert.deepEqual(messages['Order.Place'].examples[0].payload.data, example);
  });

  it('is nothing of types that they may not send', () => {
    const described = { 'Order.Place': {}, 'Internal.Tick': {}, NewClientRequest: {} };
    assert.deepEqual(publicDescriptions(described, ['Ping', 'Order.*']), { 'Order.Place': {}, Ping: {} });
  });
});
