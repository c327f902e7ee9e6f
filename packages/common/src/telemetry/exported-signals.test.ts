import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isExported, type Signal } from './exported-signals.ts';

const signals: Signal[] = ['traces', 'metrics', 'logs'];
const exported = (env: NodeJS.ProcessEnv) => signals.filter((signal) => isExported(signal, env));
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

describe('what is exported', () => {
  for (const [name, env, expected] of [
    ['nothing, by default', {}, []],
    ['all, to one endpoint', endpoint, signals],
    ['one signal, to its endpoint', { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://loki' }, ['logs']],
    ['metrics that are scraped', { OTEL_METRICS_EXPORTER: 'prometheus' }, ['metrics']],
    ['metrics that are scraped and sent', { OTEL_METRICS_EXPORTER: 'otlp, prometheus' }, ['metrics']],
    ['traces on the console', { OTEL_TRACES_EXPORTER: 'console' }, ['traces']],
    ['no logs by an exporter of others', { OTEL_LOGS_EXPORTER: 'console' }, []],
    ['nothing by an OTLP exporter without an endpoint', { OTEL_METRICS_EXPORTER: 'otlp' }, []],
    ['all but what is turned off', { ...endpoint, OTEL_METRICS_EXPORTER: 'none' }, ['traces', 'logs']],
    ['nothing, when the SDK is off', { OTEL_SDK_DISABLED: 'true', OTEL_METRICS_EXPORTER: 'prometheus' }, []],
  ] as [string, NodeJS.ProcessEnv, Signal[]][])
    it(name, () => assert.deepEqual(exported(env), expected));
});
