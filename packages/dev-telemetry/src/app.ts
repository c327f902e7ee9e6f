import { createAllowedHosts, refuseOtherHosts } from '@waybill/common/http/allowed-hosts.ts';
import { addHealthRoutes, createHttpServer, type Readiness } from '@waybill/common/http/http-server.ts';
import { identity } from '@waybill/common/instance.ts';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { addLokiRoutes } from './loki-api.ts';
import type { MetricStore } from './metric-store.ts';
import { addOtlpRoutes } from './otlp.ts';
import { renderMetrics } from './render-metrics.ts';
import type { TraceStore } from './store.ts';
import { addTempoRoutes } from './tempo-api.ts';
import { addTempoSearchRoute } from './tempo-search.ts';

/** An export of 512 spans, the default batch, is about half a megabyte; what collectors usually take is 20. */
const EXPORT_LIMIT_BYTES = 8 * 1024 * 1024;

export type DevTelemetryOptions = {
  log: Logger;
  store: TraceStore;
  metrics: MetricStore;
  readiness: Readiness;
};

/** The collector's only server: OTLP in; traces as Tempo, logs as Loki and metrics as Prometheus have them out; health. */
export function createDevTelemetryApp({
  log,
  store,
  metrics,
  readiness,
}: DevTelemetryOptions): FastifyInstance {
  const app = createHttpServer({ log, maxConnections: 100, bodyLimitBytes: EXPORT_LIMIT_BYTES });
  // It is asked by this machine's own names, and has no password that would keep a web page from reading it.
  refuseOtherHosts(app, createAllowedHosts([]));
  addHealthRoutes(app, readiness, identity);
  addOtlpRoutes(app, { store, metrics });
  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(renderMetrics(metrics.read())),
  );
  addTempoRoutes(app, { store });
  addTempoSearchRoute(app, { store });
  addLokiRoutes(app, { store });
  return app;
}
