import type { ChildProcess } from 'node:child_process';
import { eachLine } from '@waybill/tools/each-line.ts';

/** Calls `onLine` with each line that `child` writes to its standard output or error, without its line end. */
export function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) eachLine(stream, onLine);
  }
}
