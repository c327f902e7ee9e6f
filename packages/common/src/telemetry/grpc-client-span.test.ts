import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type Attributes,
  context,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  type SpanStatus,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { startGrpcClientSpan } from './grpc-client-span.ts';
import { createSampler, idGenerator } from './sampler.ts';

type Ended = {
  name: string;
  kind: SpanKind;
  attributes: Attributes;
  status: SpanStatus;
  parentSpanContext?: SpanContext;
  spanContext(): SpanContext;
};

const spans: Ended[] = [];
const sdk = new NodeSDK({
  resourceDetectors: [],
  instrumentations: [],
  metricReaders: [],
  logRecordProcessors: [],
  sampler: createSampler({}),
  idGenerator,
  spanProcessors: [
    { onStart() {}, onEnd: (span) => spans.push(span), forceFlush: async () => {}, shutdown: async () => {} },
  ],
});
before(() => sdk.start());
after(() => sdk.shutdown());

test('a call on a channel is a CLIENT span below the active one, and the parent of what it leads to', () => {
  const metadata = new Map<string, string>();
  trace.getTracer('test').startActiveSpan('caller', (caller) => {
    startGrpcClientSpan('/some.Service/Method', metadata).end({ code: 0, details: '' });
    const { traceId } = caller.spanContext();
    assert.match(String(metadata.get('traceparent')), new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    assert.doesNotMatch(String(metadata.get('traceparent')), new RegExp(caller.spanContext().spanId));
  });
  const [{ name, kind, attributes, status }] = spans as [Ended];
  assert.deepEqual([name, kind], ['grpc.some.Service/Method', SpanKind.CLIENT]);
  assert.deepEqual(attributes, {
    'rpc.system': 'grpc',
    'rpc.service': 'some.Service',
    'rpc.method': 'Method',
    'rpc.grpc.status_code': 0,
  });
  assert.equal(status.code, SpanStatusCode.UNSET);
});

test('a call that fails is a span that has failed, with what the status says', () => {
  startGrpcClientSpan('/some.Service/Method', new Map()).end({ code: 14, details: 'gone' });
  const { attributes, status } = spans.at(-1) as Ended;
  assert.equal(attributes['rpc.grpc.status_code'], 14);
  assert.deepEqual(status, { code: SpanStatusCode.ERROR, message: 'gone' });
});

test('below a span that was not sampled a call is exported if it fails, under the ids that it was sent with', () => {
  const before = spans.length;
  const parent = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: TraceFlags.NONE };
  const call = (code: number) => {
    const metadata = new Map<string, string>();
    context.with(trace.setSpanContext(ROOT_CONTEXT, parent), () =>
      startGrpcClientSpan('/some.Service/Method', metadata).end({ code, details: 'gone' }),
    );
    return String(metadata.get('traceparent')).split('-');
  };
  call(0);
  const [, traceId, spanId, flags] = call(14);
  assert.equal(flags, '00');
  assert.equal(spans.length, before + 1);
  const failed = spans.at(-1) as Ended;
  assert.deepEqual([failed.spanContext().traceId, failed.spanContext().spanId], [traceId, spanId]);
  assert.equal(failed.parentSpanContext?.spanId, parent.spanId);
  assert.deepEqual([failed.attributes['rpc.method'], failed.status.message], ['Method', 'gone']);
});
