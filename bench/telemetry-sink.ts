import { startProcess } from './start-process.ts';
import { urlOf } from './waybill.ts';

/** What one system has exported. */
export type Received = { exports: number; bytes: number };

export type TelemetrySink = {
  /** The settings that make a process of a system export there; everything else is the standard's default. */
  env(system: string, process: string): Record<string, string>;
  /** What came so far, by system. */
  received(): Promise<Record<string, Received>>;
};

/** Starts a process that takes all telemetry and drops it, so that exporting costs what it costs and storing nothing. */
export async function startTelemetrySink(): Promise<TelemetrySink> {
  const url = urlOf(await startProcess({ name: 'telemetry sink', program: 'bench/otlp-sink.ts' }));
  return {
    env: (system, process) => ({
      OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/${system}`,
      OTEL_SERVICE_NAME: `${system}-${process}`,
    }),
    async received() {
      const response = await fetch(url);
      return (await response.json()) as Record<string, Received>;
    },
  };
}
