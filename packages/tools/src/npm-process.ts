/** The npm that runs this program, which may end without a word: killed, or by a SIGTERM that comes no further. */
import { readFileSync } from 'node:fs';

/** A Node that has found a newer one, the shell of npm, and npm. */
const GENERATIONS = 3;

/** The process id of npm or npx where this runs by them, as far as the system tells; else that of whoever started this. */
export function findNpm(): number {
  let pid = process.ppid;
  for (let generation = 0; generation < GENERATIONS && pid > 1; generation++) {
    const { title, parent } = look(pid);
    if (/^npm /.test(title)) return pid;
    pid = parent;
  }
  return process.ppid;
}

/** Whether a process is there. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** What Linux says of a process; elsewhere there are no such files. */
function look(pid: number): { title: string; parent: number } {
  try {
    const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    const [, parent] = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return { title, parent: Number(parent) };
  } catch {
    return { title: '', parent: 0 };
  }
}
