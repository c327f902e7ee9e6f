/** Which telemetry leaves this process: a signal is exported when, and only when, an endpoint for it is set, or an exporter that needs none. */

/** The three signals of OpenTelemetry. */
export type Signal = 'traces' | 'metrics' | 'logs';

/** Exporters that `OTEL_<SIGNAL>_EXPORTER` may name and that send nothing by OTLP. Logs go by OTLP alone, or to stdout. */
const WITHOUT_ENDPOINT: Record<Signal, readonly string[]> = {
  traces: ['console'],
  metrics: ['console', 'prometheus'],
  logs: [],
};

/**
 * Whether `signal` is exported: `OTEL_EXPORTER_OTLP_<SIGNAL>_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` is set, or
 * `OTEL_<SIGNAL>_EXPORTER` names one that needs no endpoint (`prometheus`), and neither `OTEL_<SIGNAL>_EXPORTER=none` nor
 * `OTEL_SDK_DISABLED=true` turns it off.
 */
export function isExported(signal: Signal, env: NodeJS.ProcessEnv = process.env): boolean {
  const name = signal.toUpperCase();
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return false;
  const exporters = (env[`OTEL_${name}_EXPORTER`] ?? '').split(',').map((exporter) => exporter.trim());
  if (exporters.includes('none')) return false;
  if (exporters.some((exporter) => WITHOUT_ENDPOINT[signal].includes(exporter))) return true;
  return Boolean(env[`OTEL_EXPORTER_OTLP_${name}_ENDPOINT`] || env.OTEL_EXPORTER_OTLP_ENDPOINT);
}

/**
 * What is wrong with the endpoints that are set, a line each; none if nothing is. Their exporters do not complain, and
 * send nothing. By gRPC, `host:port` is an endpoint too.
 */
export function endpointFaults(env: NodeJS.ProcessEnv = process.env): string[] {
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return [];
  return ['', 'TRACES_', 'METRICS_', 'LOGS_'].flatMap((signal) => {
    const name = `OTEL_EXPORTER_OTLP_${signal}ENDPOINT`;
    const protocol = env[`OTEL_EXPORTER_OTLP_${signal}PROTOCOL`] || env.OTEL_EXPORTER_OTLP_PROTOCOL;
    const endpoint = env[name]?.trim();
    if (!endpoint || protocol === 'grpc' || /^https?:\/\/[^/]/i.test(endpoint)) return [];
    // The value is not repeated: it may hold a password.
    return `  ${name}: must start with http:// or https://`;
  });
}
