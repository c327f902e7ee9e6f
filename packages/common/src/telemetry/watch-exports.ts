/**
 * Whether what is exported arrives: exporters keep it to themselves when their endpoint is not there.
 *
 * They are watched where all of them pass, for any signal and protocol: at the class that they extend.
 */
import { channel } from 'node:diagnostics_channel';
import type { ExportResult } from '@opentelemetry/core';

/** A single one may be that of a backend that is slow, or that is being restarted. */
const FAILURES = 2;

/** An exporter whose exports do not arrive. */
export type FailingExport = {
  /** `traces`, `metrics` or `logs`. */
  signal: string;
  /** The error of the last export: its code and message. */
  reason: string;
};

/** What all exporters extend: `OTLPExporterBase`. */
type Exporting = { export(items: unknown, onResult: (result: ExportResult) => void): void };

/** Carries a {@link FailingExport} to the logger of the process, which is created later than the exporters. */
export const failingExports = channel('waybill.failing-exports');

/**
 * Has exporters that extend `base` call `onFailing` when two exports of one have failed in a row: once, until one of them
 * arrives again. Call once per copy of the class.
 */
export function watchExports(
  base: { prototype: Exporting },
  onFailing: (failing: FailingExport) => void,
): void {
  const { prototype } = base;
  const send = prototype.export;
  const failures = new WeakMap<object, number>();

  prototype.export = function watched(items, onResult) {
    send.call(this, items, (result) => {
      const count = hasFailed(result) ? (failures.get(this) ?? 0) + 1 : 0;
      failures.set(this, count);
      if (count === FAILURES) onFailing({ signal: signalOf(this), reason: describe(result.error) });
      onResult(result);
    });
  };
}

/** `ExportResultCode` is an enum, 0 of which is success. */
function hasFailed({ code }: ExportResult): boolean {
  return code !== 0;
}

/** Their classes are `OTLPTraceExporter`, `OTLPMetricExporter` and `OTLPLogExporter`. */
function signalOf(exporter: object): string {
  const [name] = exporter.constructor.name.match(/Trace|Metric|Log/) ?? ['telemetry'];
  return name === 'telemetry' ? name : `${name.toLowerCase()}s`;
}

/** When no address of a host takes the connection, the error that says so has a code and no message. */
function describe(error: (Error & { code?: unknown }) | undefined): string {
  return error?.message || String(error?.code ?? 'no reason is given');
}
