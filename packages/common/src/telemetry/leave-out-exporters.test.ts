import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';

/** Tells what is loaded of exporters, before the preload that loads them. */
const TELLER = `data:text/javascript,
  import { registerHooks } from 'node:module';
  const told = new Set();
  registerHooks({ load(url, context, next) {
    const [, name] = /node_modules\\/@opentelemetry\\/(exporter-[^/]+|configuration)\\/(?!.*node_modules)/.exec(url) ?? [];
    if (name && !told.has(name)) console.log(name);
    told.add(name);
    return next(url, context);
  } });`;

/** The exporters that a process with these settings loads, and others that read settings. */
async function loaded(env: Record<string, string>): Promise<string[]> {
  const preloads = ['--import', TELLER, '--import', '@waybill/common/telemetry'];
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [...preloads, '-e', 'process.exit(0)'],
    { cwd: import.meta.dirname, env: { ...bareEnvironment(), ...env } },
  );
  assert.equal(stderr, '');
  return stdout.split('\n').filter(Boolean).sort();
}

const ENDPOINT = 'http://127.0.0.1:9';

describe('a process with telemetry loads no exporters but those', () => {
  for (const [protocol, name] of [
    ['http/json', 'http'],
    ['http/protobuf', 'proto'],
  ])
    test(`of ${protocol}, where that is its protocol`, async () => {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: `${protocol}` };
      // Those of metrics share what that of http has.
      const expected = ['exporter-metrics-otlp-http', `exporter-metrics-otlp-${name}`];
      assert.deepEqual(await loaded(env), [...new Set([...expected, `exporter-trace-otlp-${name}`])]);
    });

  test('of each protocol that a signal has', async () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT,
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc',
    };
    const exporters = await loaded(env);
    assert.ok(exporters.includes('exporter-trace-otlp-grpc'));
    assert.ok(exporters.includes('exporter-metrics-otlp-proto'));
    assert.ok(!exporters.includes('exporter-trace-otlp-http'));
  });

  test('for Prometheus, where that scrapes', async () => {
    const env = { OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_PROMETHEUS_PORT: '0' };
    assert.ok((await loaded(env)).includes('exporter-prometheus'));
  });
});

test('a protocol that there is not leaves none out, and the SDK has its word', async () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/xml',
    OTEL_LOG_LEVEL: 'none',
  };
  const exporters = await loaded(env);
  for (const name of ['grpc', 'http', 'proto']) assert.ok(exporters.includes(`exporter-trace-otlp-${name}`));
});
