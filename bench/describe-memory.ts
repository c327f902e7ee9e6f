import { rssBytes } from './process-usage.ts';
import type { BenchProcess } from './start-process.ts';

/** What each process holds in memory, in words. */
export function describeMemory(processes: readonly BenchProcess[]): string {
  return processes.map(({ name, pid }) => `${name} ${Math.round(rssBytes(pid) / 1024 ** 2)} MB`).join(', ');
}
