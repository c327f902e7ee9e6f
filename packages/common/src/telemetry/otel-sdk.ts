/**
 * The OpenTelemetry SDK as every process runs it, started by `telemetry.ts` before anything else is loaded.
 *
 * Instrumented: http, undici, grpc, pino (ids on log lines only) and the Node runtime. Messaging spans are ours
 * (`tracing.ts`): an instrumentation of amqplib sees batches, not events.
 */
import { metrics } from '@opentelemetry/api';
import { SDK_INFO } from '@opentelemetry/core';
import { GrpcInstrumentation } from '@opentelemetry/instrumentation-grpc';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { PinoInstrumentation } from '@opentelemetry/instrumentation-pino';
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { OTLPExporterBase } from '@opentelemetry/otlp-exporter-base';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { register as registerImportHooks } from 'import-in-the-middle/register-hooks.mjs';
import { resourceAttributes } from '../instance.ts';
import { within } from '../within.ts';
import { edgePropagator, linkInboundTrace } from './edge-trace.ts';
import { encodeSpans } from './encode-spans.ts';
import { isExported } from './exported-signals.ts';
import { createSampler, idGenerator } from './sampler.ts';
import { SHUTDOWN_TELEMETRY } from './shutdown-telemetry.ts';
import { failingExports, watchExports } from './watch-exports.ts';

/** Of the 2 s that `shutdownTelemetry` takes at most: a backend of metrics that is slow must not keep the spans. */
const FLUSH_METRICS_MS = 500;

/** Read at each export, as the program names itself only after the SDK has started. It is all there is to say. */
const resource: NonNullable<ConstructorParameters<typeof NodeSDK>[0]>['resource'] & {} = {
  get attributes() {
    return { ...sdkAttributes, ...resourceAttributes() };
  },
  getRawAttributes: () => Object.entries(resource.attributes),
  merge: () => resource,
};
const sdkAttributes = Object.fromEntries(
  Object.entries(SDK_INFO).filter(([name]) => name.startsWith('telemetry.sdk.')),
);

/** Starts the SDK and patches what is loaded from here on. Call once per process. */
export function startSdk(): void {
  // For modules that ESM imports; what CommonJS requires is patched without it.
  registerImportHooks({ include: ['http', 'https', 'pino', '@grpc/grpc-js'] });
  // The exporter asks it for each export; the variables of the SDK choose and set up the exporter as ever.
  ProtobufTraceSerializer.serializeRequest = encodeSpans;
  watchExports(OTLPExporterBase, (failing) => failingExports.publish(failing));
  const sdk = new NodeSDK({
    autoDetectResources: false,
    resource,
    textMapPropagator: edgePropagator,
    sampler: createSampler(),
    idGenerator,
    instrumentations: instrumentations(),
    // An empty list turns a signal off; without one the SDK reads OTEL_* (OTLP, http/protobuf by default).
    spanProcessors: isExported('traces') ? undefined : [],
    metricReaders: isExported('metrics') ? undefined : [],
    logRecordProcessors: [],
  });
  sdk.start();
  Reflect.set(globalThis, SHUTDOWN_TELEMETRY, async () => {
    // A counter that is new now is exported as 0 first (`counter.ts`); the shutdown then exports what it counted.
    if (isExported('metrics')) await within(FLUSH_METRICS_MS, flushMetrics());
    await sdk.shutdown();
  });
}

/** The API does not have it, as a meter provider need not. */
async function flushMetrics(): Promise<void> {
  const provider = metrics.getMeterProvider() as { forceFlush?: () => Promise<void> };
  await provider.forceFlush?.().catch(() => {});
}

/** By name: `auto-instrumentations-node` brings and loads forty more, with 130 packages of theirs. */
function instrumentations() {
  return [
    new HttpInstrumentation({
      requestHook: linkInboundTrace,
    }),
    new UndiciInstrumentation(),
    // Hundreds of batches make a stream, whose chunks are traced. The others ask about health, every few seconds, or
    // about the service itself, on streams that stay open as long as a tool likes.
    new GrpcInstrumentation({
      ignoreGrpcMethods: ['GetBatch', 'Check', 'Watch', 'HealthCheck', 'ServerReflectionInfo'],
    }),
    new PinoInstrumentation({ disableLogSending: true }),
    new RuntimeNodeInstrumentation(),
  ];
}
