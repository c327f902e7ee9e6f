import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Attributes, SpanKind, type SpanStatus, SpanStatusCode, trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { startGrpcClientSpan } from './grpc-client-span.ts';

type Ended = { name: string; kind: SpanKind; attributes: Attributes; status: SpanStatus };

const spans: Ended[] = [];
const sdk = new NodeSDK({
  resourceDetectors: [],
  instrumentations: [],
  metricReaders: [],
  logRecordProcessors: [],
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
