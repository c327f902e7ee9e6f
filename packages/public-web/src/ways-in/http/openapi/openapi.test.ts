/** The description is as strict as the server, where JSON Schema can say it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorCodes } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { isRfc3339 } from '@waybill/common/event/rfc3339.ts';
import { isUri, isUriReference } from '@waybill/common/event/uri.ts';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { decodeRequest, encodeBatchResponse, encodeResponse, type HttpMode } from '../event-http.ts';
import { clientRouteSchema, ticketRouteSchema } from './client-routes.ts';
import { eventRouteSchema, pingRouteSchema, postPingRouteSchema } from './event-routes.ts';
import { sharedSchemas } from './event-schemas.ts';
import { deleteRequestRouteSchema, requestRouteSchema } from './request-routes.ts';

const ajv = new Ajv2020({ strict: false });
const withoutFormats = new Ajv2020({ strict: false, validateFormats: false });
const components = { schemas: sharedSchemas };
// Of these JSON Schema says no more than the names of standards, which ajv's own expressions only come near to.
ajv.addFormat('uri', isUri).addFormat('uri-reference', isUriReference).addFormat('date-time', isRfc3339);

const anyText = fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: 'binary', maxLength: 4 }));
const nearly = (...values: unknown[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...values) }, anyText);
const anyExtension = nearly('', 'x', true, 0, -(2 ** 31), 2 ** 31 - 1, 2 ** 31, 1.5, null, 'x'.repeat(2049));
const times = [
  '2020-02-29T00:00:00Z',
  '2020-02-30T00:00:00Z',
  '1990-12-31T23:59:60Z',
  '1990-12-31T15:59:60-08:00',
  '2020-01-01T24:00:00Z',
  '2020-01-01t00:00:00.123456789z',
  '2020-01-01 00:00:00Z',
  '2020-01-01T00:00:00',
  '2020-01-01T00:00:00+24:00',
  '2020-01-01T00:00:00-00:00',
  '0000-01-01T00:00:00Z',
];
const uris = [
  '/t',
  '',
  'a b',
  'http://x/',
  'urn:x',
  '//h',
  '?q#f',
  '%zz',
  'http://[::1]/',
  'http://[',
  'é',
  '1:x',
];
const mediaTypes = [
  'text/plain',
  'text/plain; charset=utf-8',
  'text',
  'a/b; q="x"',
  'a/b;',
  '/',
  'application/json',
];
const bytes = ['', 'AQID', 'AQ==', 'AQ=', 'A', '=AQI', 'AQI=', 'A===', 'AQ ID'];

const attributes = {
  specversion: fc.constantFrom('1.0', '1.0', '1.0', '0.3', 1),
  id: nearly('1', 'é', '', 'x'.repeat(128), 'x'.repeat(129), 1, null),
  source: nearly(...uris),
  type: nearly('T', 'a.b-c_d', '', 'é', 'x'.repeat(129)),
  time: nearly(...times),
  subject: nearly('s', '', '\ufffe', '\ud800', '\u{1fffe}', 'x'.repeat(2049), null),
  dataschema: nearly(...uris),
  datacontenttype: nearly(...mediaTypes),
  data: fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom(
      null,
      JSON.parse('{"__proto__":1}'),
      [{ a: { constructor: [] } }],
      JSON.parse('{"a":[{"__proto__":1}]}'),
    ),
  ),
  data_base64: nearly(...bytes),
  ext: anyExtension,
};
const anyName = fc.constantFrom('constructor', 'Ext', 'e_x', 'x'.repeat(64), 'x'.repeat(65), '1', 'é', '');
/** A good event, but for two of its attributes and one more: most of them are near to being valid. */
const anyEvent = fc
  .tuple(
    fc.record(attributes, { requiredKeys: [] }),
    fc.shuffledSubarray(Object.keys(attributes), { maxLength: 2 }),
    fc.dictionary(anyName, anyExtension, { maxKeys: 1 }),
  )
  .map(([changes, changed, others]) => ({
    ...{ specversion: '1.0', id: '1', source: '/t', type: 'T' },
    ...Object.fromEntries(Object.entries(changes).filter(([name]) => changed.includes(name))),
    ...others,
  }));

const { content } = eventRouteSchema.body;
const modes: Record<string, (event: object) => unknown> = {
  'application/cloudevents+json': (event) => event,
  'application/cloudevents-batch+json': (event) => [event],
  'application/json': (event) => event,
};

describe('an event that is valid by /openapi.json is taken', () => {
  for (const [contentType, toBody] of Object.entries(modes))
    it(contentType, () => {
      const isValid = ajv.compile({ ...content[contentType as keyof typeof content].schema, components });
      let valid = 0;
      fc.assert(
        fc.property(anyEvent, (event) => {
          const body = JSON.parse(JSON.stringify(toBody(event)));
          if (!isValid(body)) return;
          valid += 1;
          const headers = { 'content-type': contentType };
          const { events } = decodeRequest({ headers, body: Buffer.from(JSON.stringify(body)) }, '/');
          for (const each of events) if (each instanceof Error) throw each;
        }),
        { numRuns: 3_000 },
      );
      assert.ok(valid > 30, `${valid} of them are valid`);
    });
});

/** What takes arithmetic is left to the names of standards. */
const TAKES_ARITHMETIC = /-02-29|:60/;

it('an event that is valid by /openapi.json, its formats apart, is taken but for days and seconds that are not', () => {
  const isValid = withoutFormats.compile({ ...content['application/cloudevents+json'].schema, components });
  const headers = { 'content-type': 'application/cloudevents+json' };
  fc.assert(
    fc.property(anyEvent, (event) => {
      const body = JSON.parse(JSON.stringify(event));
      if (isValid(body) && !TAKES_ARITHMETIC.test(String(body.time)))
        decodeRequest({ headers, body: Buffer.from(JSON.stringify(body)) }, '/');
    }),
    { numRuns: 3_000 },
  );
});

it('a time, URI or reference is what the patterns say', () => {
  const { properties } = content['application/cloudevents+json'].schema;
  const matches = (name: 'time' | 'dataschema' | 'source', text: string) =>
    new RegExp(properties[name].pattern, 'u').test(text);
  for (const text of times)
    if (!TAKES_ARITHMETIC.test(text)) assert.equal(matches('time', text), isRfc3339(text), text);
  for (const text of uris) {
    assert.equal(matches('dataschema', text), isUri(text), text);
    assert.equal(matches('source', text), isUriReference(text), text);
  }
});

describe('what is answered is as /openapi.json says', () => {
  const { content: replies } = eventRouteSchema.response[200];
  const reply: CloudEvent = {
    specversion: '1.0',
    id: 'r',
    source: '/waybill/orders',
    type: 'Order.Placed',
    time: '2026-11-28T10:40:00.000Z',
    datacontenttype: 'application/vnd.acme+json',
    extension: 'x',
  };
  const bytes = { ...reply, data_base64: 'AQID' };
  const asserts = (contentType: keyof typeof replies, body: unknown) => {
    const { schema } = replies[contentType];
    assert.ok(ajv.validate({ ...schema, components }, body), JSON.stringify([body, ajv.errors]));
  };

  for (const [mode, contentType] of [
    ['plain', 'application/json'],
    ['structured', 'application/cloudevents+json'],
  ] as [Exclude<HttpMode, 'batched'>, keyof typeof replies][])
    it(`in the ${mode} mode`, () => {
      for (const event of [reply, bytes, { ...reply, data: { constructor: [null] } }])
        asserts(contentType, JSON.parse(String(encodeResponse(mode, event, 'asked').body)));
      const { schema, example } = replies[contentType];
      assert.ok(ajv.validate(schema, example), JSON.stringify(ajv.errors));
      assert.equal(ajv.validate(schema, { ...reply, requestid: undefined, id: undefined }), false);
    });

  it('in a batch, also for what was no event', () => {
    const answers = [{ ...reply, requestid: 'asked' }, reply];
    asserts('application/cloudevents-batch+json', JSON.parse(String(encodeBatchResponse(answers).body)));
  });

  it('as a problem, with a code that there is, under its status', () => {
    const routes = {
      ...{ clientRouteSchema, deleteRequestRouteSchema, eventRouteSchema, pingRouteSchema },
      ...{ postPingRouteSchema, requestRouteSchema, ticketRouteSchema },
    };
    let examples = 0;
    for (const [name, { response }] of Object.entries(routes))
      for (const [status, { content }] of Object.entries(response as Record<string, ProblemResponse>)) {
        const { schema, example } = content?.['application/problem+json'] ?? {};
        if (!schema || status === 'default') continue;
        examples += 1;
        assert.ok(ajv.validate(schema, example), `${name} ${status}: ${JSON.stringify(ajv.errors)}`);
        assert.equal(example?.status, Number(status), name);
        // A request that is too slow, or whose headers are too large, is refused by the HTTP parser.
        const isOfParser = [408, 431].includes(Number(status));
        const ofCode = errorCodes[example?.code as keyof typeof errorCodes].status;
        assert.equal(ofCode, isOfParser ? 400 : Number(status), `${name} ${status}`);
      }
    assert.ok(examples > 50, `${examples}`);
  });
});

type ProblemResponse = {
  content?: { 'application/problem+json'?: { schema: object; example?: { status: number; code: string } } };
};
