/**
 * dev-telemetry, for development only: keeps the last traces and log lines, and the state of all metrics, in memory, on loopback, without a password.
 *
 *     services ─▶ POST /v1/{traces,logs} → otlp → store → tempo-api, tempo-search, loki-api ─▶ bin/trace.mjs
 *     services ─▶ POST /v1/metrics → otlp → metric-store → render-metrics ─▶ bin/status.mjs
 */
import { drainHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { createDevTelemetryApp } from './app.ts';
import { loadDevTelemetryConfig } from './config.ts';
import { createMetricStore } from './metric-store.ts';
import { createTraceStore } from './store.ts';

await runService(loadDevTelemetryConfig, async ({ config, log, isStopping }) => {
  const app = createDevTelemetryApp({
    log,
    store: createTraceStore({ maxBytes: config.MAX_BYTES }),
    metrics: createMetricStore(),
    readiness: () => (isStopping() ? 'stopping' : undefined),
  });
  await app.listen({ host: '127.0.0.1', port: config.PORT });
  log.warn(
    'for development only: traces, logs and metrics are kept in memory and anyone on this machine may read them',
  );
  return { ports: { port: portOf(app) }, drain: () => drainHttpServer(app, { idleMs: 100 }) };
});
