import type { Summary } from './summarize.ts';
import { toTable } from './table.ts';

const COLUMNS = [
  'system',
  'connections',
  'req/s',
  'Waybill is ×',
  'p50 ms',
  'p99 ms',
  'errors',
  'CPU µs',
  'own',
  'broker',
  'RSS MB',
  'own by process',
];

/** One row for each summary; CPU is per request, and the ratio is to Waybill's rate of the same round. */
export function comparisonTable(summaries: readonly Summary[]): string {
  return toTable(COLUMNS, summaries.map(toRow));
}

function toRow(summary: Summary): string[] {
  const { ownCpuUs, brokerCpuUs } = summary;
  const processes = Object.entries(summary.cpuUs).map(([name, us]) => `${name} ${us.toFixed(0)}`);
  return [
    summary.system,
    String(summary.connections),
    summary.requestsPerS.toFixed(0),
    summary.waybillRatio?.toFixed(2) ?? '–',
    summary.p50Ms.toFixed(1),
    summary.p99Ms.toFixed(1),
    String(summary.errors),
    (ownCpuUs + brokerCpuUs).toFixed(0),
    ownCpuUs.toFixed(0),
    brokerCpuUs.toFixed(0),
    toMb(summary.ownRssBytes),
    processes.join(', '),
  ];
}

export function toMb(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(0);
}
