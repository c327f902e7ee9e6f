/**
 * The SDK imports the exporters of every protocol, whichever is chosen, and what reads configuration files: with theirs, some 400
 * modules, which took a third of what starting a process with telemetry took. Where it imports one that is not chosen, it gets nothing
 * instead.
 */
import { registerHooks } from 'node:module';

const PROTOCOLS = { grpc: 'grpc', 'http/json': 'http', 'http/protobuf': 'proto' };
/** Where none is set. */
const DEFAULT_PROTOCOL = 'http/protobuf';
/** The log worker exports log lines. It starts no SDK. */
const LOG_EXPORTERS = Object.values(PROTOCOLS).map((name) => `@opentelemetry/exporter-logs-otlp-${name}`);
/** For what reads configuration files, which nothing here calls. */
const CONFIGURATION = ['@opentelemetry/configuration', '@opentelemetry/otlp-grpc-exporter-base'];

/** All that the SDK imports of them by name; one that is missing here ends the start. */
const NAMES = [
  ...['OTLPTraceExporter', 'OTLPMetricExporter', 'OTLPLogExporter', 'ZipkinExporter', 'PrometheusExporter'],
  ...['createEmptyMetadata', 'createInsecureCredentials', 'createSslCredentials'],
  ...['parseConfigFile', 'mergeHeadersConfig', 'mergePropagatorCompositeConfig'],
  ...['mergeResourceAttributesConfig', 'AggregationTemporalityPreference'],
];
const NOTHING = `data:text/javascript,export let ${NAMES}`;
const SDK = '/@opentelemetry/sdk-node/';

/**
 * The SDK gets nothing for what the environment does not choose, until the function is called that this returns: afterwards it would
 * only make every other import slower.
 */
export function leaveOutExporters(env: NodeJS.ProcessEnv = process.env): () => void {
  const unchosen = unchosenPackages(env);
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      unchosen.has(specifier) && context.parentURL?.includes(SDK)
        ? { url: NOTHING, shortCircuit: true }
        : next(specifier, context),
  });
  return () => hooks.deregister();
}

/** What the SDK imports and, with the settings in `env`, does not use. */
function unchosenPackages(env: NodeJS.ProcessEnv): ReadonlySet<string> {
  return new Set([
    ...LOG_EXPORTERS,
    ...CONFIGURATION,
    ...(env.OTEL_TRACES_EXPORTER?.includes('zipkin') ? [] : ['@opentelemetry/exporter-zipkin']),
    ...(env.OTEL_METRICS_EXPORTER?.includes('prometheus') ? [] : ['@opentelemetry/exporter-prometheus']),
    ...unchosenProtocols(env).flatMap((name) => [
      `@opentelemetry/exporter-trace-otlp-${name}`,
      `@opentelemetry/exporter-metrics-otlp-${name}`,
    ]),
  ]);
}

/** None where one is set that is unknown here: the SDK then knows what to do. */
function unchosenProtocols(env: NodeJS.ProcessEnv): string[] {
  const general = env.OTEL_EXPORTER_OTLP_PROTOCOL || DEFAULT_PROTOCOL;
  const { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: traces, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: metrics } = env;
  const chosen = [general, traces, metrics].filter(Boolean);
  if (chosen.some((protocol) => !Object.hasOwn(PROTOCOLS, String(protocol)))) return [];
  return Object.entries(PROTOCOLS).flatMap(([protocol, name]) => (chosen.includes(protocol) ? [] : [name]));
}
