import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lateReplies, type Violation } from './check.ts';
import type { InjectedFault } from './inject.ts';
import type { Run } from './run-schedule.ts';

/** How many breaches of one promise are printed; all are in the folder. */
const MAX_PRINTED = 10;

/** The violations in words, by promise. */
export function describeViolations(violations: readonly Violation[]): string {
  const byPromise = Map.groupBy(violations, ({ promise }) => promise);
  return [...byPromise]
    .map(([promise, breaches]) => {
      const shown = breaches.slice(0, MAX_PRINTED).map(({ what }) => `    ${what}`);
      const rest = breaches.length > MAX_PRINTED ? [`    … ${breaches.length - MAX_PRINTED} more`] : [];
      return [`  BROKEN: ${promise} (${breaches.length})`, ...shown, ...rest].join('\n');
    })
    .join('\n');
}

/** One line per fault. */
export function describeFaults(injected: readonly InjectedFault[]): string {
  return injected
    .map(({ kind, target, atMs, startMs, endMs }) => {
      const time = (ms: number) => new Date(ms).toISOString().slice(11, 23);
      return `  ${String(atMs).padStart(6)} ms  ${time(startMs)} to ${time(endMs)}  ${kind} ${target}`;
    })
    .join('\n');
}

/** Writes all there is to know about a run into `folder`: operations, faults, logs of every process. */
export async function keepEvidence(
  run: Run,
  violations: readonly Violation[],
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const lines = (items: readonly unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('');
  const files: Record<string, string> = {
    'violations.txt': describeViolations(violations),
    'faults.txt': describeFaults(run.injected),
    'operations.jsonl': lines(run.operations),
    'streams.jsonl': lines(run.streams ?? []),
    'clients.jsonl': lines(run.clients ?? []),
    'keyed.jsonl': lines(run.keyed ?? []),
    'dead-letters.jsonl': lines(run.deadLetters),
    'late-replies.jsonl': lines(lateReplies(run)),
    'alarming-lines.txt': run.evidence.alarmingLines.join('\n'),
  };
  for (const { name, services } of run.system.processes.values())
    services.forEach(({ logs, pid }, index) => {
      files[`${name}.${index}.${pid}.log`] = lines(logs);
    });
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
}
