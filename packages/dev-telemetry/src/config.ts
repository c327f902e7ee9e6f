import { count, loadConfig, logLevel, port } from '@waybill/common/config.ts';

/** Settings of the development collector. */
export const devTelemetrySettings = {
  PORT: port({ default: 4318, desc: 'Port on loopback, for exports (OTLP/HTTP) and for reading alike' }),
  MAX_BYTES: count({
    default: 64 * 1024 * 1024,
    desc: 'Most JSON kept in memory; beyond it the oldest traces go, with their log lines',
  }),
  LOG_LEVEL: logLevel(),
};

/** Reads and checks the settings; throws one error that names every fault. */
export const loadDevTelemetryConfig = (env?: NodeJS.ProcessEnv) => loadConfig(devTelemetrySettings, env);
