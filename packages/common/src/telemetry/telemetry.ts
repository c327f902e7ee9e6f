/**
 * The preload of every process: `node --import @waybill/common/telemetry src/main.ts`.
 *
 * Standard `OTEL_*` variables configure it. Without an endpoint for traces or metrics it loads nothing and patches
 * nothing. Logs are exported by `logging.ts`, in a worker thread of their own.
 */
import { isMainThread } from 'node:worker_threads';
import { endpointFaults, isExported } from './exported-signals.ts';
import { leaveOutExporters } from './leave-out-exporters.ts';

const faults = isMainThread ? endpointFaults() : [];
if (faults.length > 0) {
  console.error(['invalid settings:', ...faults].join('\n'));
  process.exit(1);
}

// Worker threads inherit `--import`; a second SDK in the log worker would export metrics of its own.
if (isMainThread && (isExported('traces') || isExported('metrics'))) {
  const leftOut = leaveOutExporters();
  const { startSdk } = await import('./otel-sdk.ts');
  leftOut();
  startSdk();
}
