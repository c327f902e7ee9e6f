import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTraceState, type SpanContext } from '@opentelemetry/api';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import { encodeSpans } from './encode-spans.ts';

type Span = Parameters<typeof encodeSpans>[0][number];

const hex = (digits: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits });
const text = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom('', 'a', 'PingRequest'),
);
const integer = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(-0, 2 ** 53, 2 ** 62, -(2 ** 62), 127, 128, 16_384),
);
const value = fc.oneof(
  ...[text, fc.boolean(), integer, fc.double(), fc.constant(undefined)],
  ...[
    fc.array(text, { maxLength: 20 }),
    fc.array(integer, { maxLength: 4 }),
    fc.array(fc.boolean(), { maxLength: 4 }),
  ],
);
const attributes = fc.dictionary(
  fc.oneof(fc.constantFrom('http.route', 'messaging.message.id'), text),
  value,
  { maxKeys: 8 },
);
const time = fc.tuple(fc.integer({ min: 0, max: 2 ** 33 }), fc.integer({ min: 0, max: 999_999_999 }));
const context: fc.Arbitrary<SpanContext> = fc.record(
  {
    traceId: hex(32),
    spanId: hex(16),
    traceFlags: fc.integer({ min: 0, max: 255 }),
    isRemote: fc.boolean(),
    traceState: fc.constantFrom(createTraceState('vendor=1'), createTraceState('')),
  },
  { requiredKeys: ['traceId', 'spanId', 'traceFlags'] },
);
const count = fc.constantFrom(0, 1, 300);
const scopes = [
  { name: 'waybill' },
  { name: '@opentelemetry/instrumentation-undici', version: '0.34.0', schemaUrl: 'https://schemas' },
];
const resources = [
  { attributes: { 'service.name': 'public-web', 'service.instance.id': 'x'.repeat(200) } },
  { attributes: {}, schemaUrl: 'https://schemas' },
];
const span: fc.Arbitrary<Span> = fc
  .record({
    ...{
      name: text,
      kind: fc.integer({ min: 0, max: 4 }),
      context,
      parentSpanContext: fc.option(context, { nil: undefined }),
    },
    ...{ startTime: time, endTime: time, duration: time, ended: fc.constant(true), attributes },
    status: fc.record({ code: fc.constantFrom(0, 1, 2), message: text }, { requiredKeys: ['code'] }),
    events: fc.array(
      fc.record(
        { name: text, time, attributes, droppedAttributesCount: count },
        { requiredKeys: ['name', 'time'] },
      ),
      { maxLength: 3 },
    ),
    links: fc.array(
      fc.record({ context, attributes, droppedAttributesCount: count }, { requiredKeys: ['context'] }),
      { maxLength: 3 },
    ),
    ...{ resource: fc.constantFrom(...resources), instrumentationScope: fc.constantFrom(...scopes) },
    ...{ droppedAttributesCount: count, droppedEventsCount: count, droppedLinksCount: count },
  })
  .map(({ context, ...rest }) => ({ ...rest, spanContext: () => context }) as unknown as Span);

const expected = (spans: Span[]) =>
  Buffer.from(ProtobufTraceSerializer.serializeRequest(spans) ?? []).toString('hex');
const encoded = (spans: Span[]) => Buffer.from(encodeSpans(spans)).toString('hex');

test('any spans are encoded as the SDK does it, to the byte', () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 12 }), (spans) => assert.equal(encoded(spans), expected(spans))),
  );
});

test('an export that is larger than those before is whole, and leaves the next as it is', () => {
  const [one] = fc.sample(span, 1) as [Span];
  const large = { ...one, attributes: { long: 'ä'.repeat(50_000), longer: 'x'.repeat(300_000) } };
  for (const spans of [[one], [large, one, large], [one]]) assert.equal(encoded(spans), expected(spans));
});

test('an export that cannot be encoded leaves the next as it is', () => {
  const [one] = fc.sample(span, 1) as [Span];
  const broken = { ...one, spanContext: () => assert.fail('no context') } as Span;
  assert.throws(() => encodeSpans([one, broken]), /no context/);
  assert.equal(encoded([one]), expected([one]));
});
