import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trace } from '@opentelemetry/api';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import { encodeSpans } from './encode-spans.ts';
import { startSdk } from './otel-sdk.ts';
import { shutdownTelemetry } from './shutdown-telemetry.ts';

test('the exporter of the SDK has its spans encoded by ours', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = `${receiver.url}/v1/traces`;
  startSdk();
  assert.equal(ProtobufTraceSerializer.serializeRequest, encodeSpans);
  const encode = t.mock.method(ProtobufTraceSerializer, 'serializeRequest');
  trace.getTracer('test').startSpan('a span').end();
  await shutdownTelemetry();
  assert.equal(encode.mock.callCount(), 1);
  assert.deepEqual(receiver.requests(), [
    {
      path: '/v1/traces',
      contentType: 'application/x-protobuf',
      bytes: encode.mock.calls[0]?.result?.length,
    },
  ]);
});
