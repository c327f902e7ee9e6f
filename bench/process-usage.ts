/** What processes of this machine use, from `/proc` (Linux). */
import { readFileSync } from 'node:fs';
import { sum } from './statistics.ts';

/** The kernel counts CPU time in these (`sysconf(_SC_CLK_TCK)`, 100 a second on every Linux that Node runs on). */
const TICK_US = 10_000;

/** CPU time that a process, all its threads included, has used since its start, in microseconds. */
export function cpuUs(pid: number): number {
  const [userTicks, systemTicks] = cpuTicks(pid);
  return (userTicks + systemTicks) * TICK_US;
}

/** CPU time that a process, its children and those of them that have ended have used, in microseconds. */
export function cpuWithChildrenUs(pid: number): number {
  const ticks = [...cpuTicks(pid), ...childrenOf(pid).flatMap((child) => cpuTicks(child).slice(0, 2))];
  return sum(ticks) * TICK_US;
}

/** CPU time that a process and all that it has started, themselves or by others, have used, in microseconds. */
export function cpuOfTreeUs(pid: number): number {
  return sum(cpuTicks(pid)) * TICK_US + sum(childrenOf(pid).map(cpuOfTreeUs));
}

/** CPU time of the children of this process that have ended, in microseconds. */
export function endedChildrenCpuUs(): number {
  const [, , userTicks, systemTicks] = cpuTicks(process.pid);
  return (userTicks + systemTicks) * TICK_US;
}

/** Memory that a process holds (its resident set). */
export function rssBytes(pid: number): number {
  const [, kB] = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/) ?? [];
  return Number(kB) * 1024;
}

/** What a process has had written to disk (`write_bytes` of proc_pid_io(5)). */
export function writtenBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/io`, 'utf8').match(/^write_bytes: (\d+)$/m)?.[1]);
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** utime, stime, cutime and cstime of proc_pid_stat(5). */
function cpuTicks(pid: number): [number, number, number, number] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses, which may hold anything; utime is the fourteenth.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).map(Number) as [number, number, number, number];
}
