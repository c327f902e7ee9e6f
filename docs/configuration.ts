/**
 * Renders `docs/configuration.md` from the settings themselves. A test holds the file against it; after a change of
 * settings run `npm run docs`.
 */
import { writeFileSync } from 'node:fs';
import { dataDispatchSettings } from '../packages/data-dispatch-listener/src/config.ts';
import { datasetGeneratorSettings } from '../packages/dataset-generator/src/config.ts';
import { devTelemetrySettings } from '../packages/dev-telemetry/src/config.ts';
import { dispatcherSettings } from '../packages/dispatcher/src/config.ts';
import { listenerSettings, resultsSettings } from '../packages/listener/src/config.ts';
import { publicWebSettings } from '../packages/public-web/src/config.ts';
import { storeSettings } from '../packages/store/src/config.ts';

/** Where the page is. */
export const CONFIGURATION_PAGE = new URL('./configuration.md', import.meta.url);

/** The page, as Markdown. */
export function renderConfiguration(): string {
  return `# Configuration

Settings are environment variables. They are checked at start, and every fault is told in one message.
Any setting \`X\` can instead be given as \`X_FILE\`, the path of a file that holds the value; use that for secrets.
An empty variable counts as not set; an empty file is a fault. What is set and is one letter away from a setting that is not
(\`PUBLIC_EVENT_TYPS\`) is asked about in the log, and changes nothing.

In the images \`HOST\` is 0.0.0.0 and health is on \`HEALTH_PORT\` 8088, whatever the service; their health check asks there.

${table('public-web', publicWebSettings)}

${table('dispatcher', dispatcherSettings)}

${table('store', storeSettings)}

${table('Listeners', listenerSettings)}

${table('Listeners that keep results of events in a store, besides those of listeners', resultsSettings)}

${table('data-dispatch-listener, besides those of listeners', beyondListeners(dataDispatchSettings))}

${table('dataset-generator', datasetGeneratorSettings)}

${table('dev-telemetry (development only)', devTelemetrySettings)}

## \`npm start\`

Passes every variable on to the services, but for these, which give each port a name of its own: \`PORT\`,
\`INTERNAL_PORT\`, \`GRPC_PORT\` (public-web's), \`PUBLIC_WEB_HEALTH_PORT\`, \`DISPATCHER_PORT\`, \`DISPATCHER_HEALTH_PORT\`,
\`PING_LISTENER_HEALTH_PORT\` and so for each listener, \`TCP_PORT\`, \`DATASET_GENERATOR_PORT\` (gRPC),
\`DATASET_GENERATOR_HEALTH_PORT\`, \`STORE_PORT\`, \`STORE_HEALTH_PORT\`, \`AMQP_PORT\` (the broker in memory) and \`TELEMETRY_PORT\` (the collector). The option
\`--port-offset <n>\` moves all that are not set. Without \`LOG_LEVEL\` the services log at \`debug\` for the collector, and
lines at \`debug\` are not printed. \`PUBLIC_EVENT_TYPES\` is \`PingRequest,nimbus.sq\` by default. Everything
binds to 127.0.0.1, whatever \`HOST\` and \`INTERNAL_HOST\` say, without TLS. The store has a file of its own for each \`STORE_PORT\`, \`data/store-8090.db\` in the folder that it was started in, unless
\`DATABASE_URL\` is set. Secrets go to those services only that need them; where
\`INTERNAL_SECRETS\`, \`RESULTS_SECRETS\` or \`CREDENTIALS_…\` are not set, they are new for each run (so with \`AMQP_URL\` set, streams that
the last run left unfinished are dead-lettered by the next: set your own keys to keep them).

## Telemetry

The standard \`OTEL_*\` variables of OpenTelemetry apply to every process. Nothing is exported unless an endpoint is set:

| Setting | Meaning |
|---|---|
| \`OTEL_EXPORTER_OTLP_ENDPOINT\` | One OTLP endpoint for traces, metrics and logs |
| \`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT\`, \`…_METRICS_ENDPOINT\`, \`…_LOGS_ENDPOINT\` | An endpoint per signal, for example \`http://tempo:4318/v1/traces\`; a signal without one is not exported |
| \`OTEL_EXPORTER_OTLP_PROTOCOL\` | \`http/protobuf\` (default), \`http/json\` or \`grpc\` |
| \`OTEL_SERVICE_NAME\` | Name of the process; default: the \`service\` of a listener, of other processes the name of their package |
| \`OTEL_RESOURCE_ATTRIBUTES\` | \`service.instance.id\` here names the instance; default: a random UUID |
| \`OTEL_TRACES_SAMPLER\`, \`OTEL_TRACES_SAMPLER_ARG\` | Which traces are sampled: \`parentbased_always_on\` (default), \`parentbased_traceidratio\` with a ratio such as \`0.1\` at public-web, and so on; the other tiers follow it. The spans of requests, of events and of calls to a peer of the mesh that fail are exported all the same, alone; so are all log lines |
| \`OTEL_SPAN_ATTRIBUTE_…\`, \`OTEL_ATTRIBUTE_…\` | Limits of attributes; they do not hold for those that the spans of HTTP requests to public-web and of events begin with |
| \`OTEL_EXPORTER_OTLP_LOGS_TIMEOUT\` | Milliseconds that an export of logs may take, at most and by default 1000: it can hold up the exit |
| \`OTEL_METRICS_EXPORTER\` | \`prometheus\`: metrics are not sent, but scraped from \`/metrics\`; no endpoint is needed ([operations](operations.md#metrics-that-are-scraped)). \`otlp,prometheus\` does both, \`none\` neither |
| \`OTEL_EXPORTER_PROMETHEUS_HOST\`, \`OTEL_EXPORTER_PROMETHEUS_PORT\` | Where: default \`localhost\` and 9464. Under \`npm start\` the port is that of the process's health and 1400 more |
| \`OTEL_METRIC_EXPORT_INTERVAL\` | Milliseconds between metric exports (default 60000) |

<!-- Written by \`npm run docs\` from the settings in packages/*/src/config.ts. -->
`;
}

type Setting = { desc?: string; default?: unknown };

function table(title: string, settings: Record<string, Setting>): string {
  const rows = Object.entries(settings).map(
    ([name, setting]) => `| \`${name}\` | ${defaultOf(setting)} | ${setting.desc} |`,
  );
  return [`## ${title}`, '', '| Setting | Default | Meaning |', '|---|---|---|', ...rows].join('\n');
}

function beyondListeners(settings: Record<string, Setting>): Record<string, Setting> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !(name in listenerSettings)));
}

function defaultOf(setting: Setting): string {
  if (!('default' in setting)) return '**required**';
  const value =
    setting.default instanceof Map ? [...setting.default].map((entry) => entry.join('=')) : setting.default;
  const text = Array.isArray(value) ? value.map(itemText).join(',') : textOf(value);
  return text === '' ? '–' : `\`${text}\``;
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value ?? '');
}

/** The only items that are no text are brokers. */
function itemText(item: string | { host: string; port: number }): string {
  return typeof item === 'string' ? item : `${item.host}:${item.port}`;
}

if (import.meta.main) writeFileSync(CONFIGURATION_PAGE, renderConfiguration());
