/** How many files and sockets the system lets this process have open. */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';

/** For what a process has open besides its clients: other tiers, logs, telemetry, health; an idle one has about 30. */
const RESERVED_FILES = 200;

/**
 * Logs a warning when the system allows fewer open files than the sum of `connections`, which has settings by name. Says
 * nothing where the system does not tell (all but Linux).
 */
export function warnOfFewOpenFiles(
  log: Pick<Logger, 'warn'>,
  connections: Readonly<Record<string, number>>,
  allowed = allowedOpenFiles(),
): void {
  const needed = Object.values(connections).reduce((sum, count) => sum + count, RESERVED_FILES);
  if (allowed === undefined || allowed >= needed) return;
  log.warn(
    { ...connections, allowed_open_files: allowed, needed_open_files: needed },
    `the system allows this process ${allowed} open files, and its settings need ${needed}: raise the limit (ulimit -n) or lower ${Object.keys(connections).join(' and ')}, or clients can use up what other tiers are called with`,
  );
}

/** Most files that this process may have open; undefined where the system does not tell. */
export function allowedOpenFiles(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
