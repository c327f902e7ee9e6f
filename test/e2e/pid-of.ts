import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The process id of a service, which is a child of `starter`. */
export function pidOf(service: string, { pid }: ChildProcess): number {
  const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  const found = pids.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes(`/${service}/`));
  return Number(found);
}
