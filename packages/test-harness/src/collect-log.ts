import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readLines } from './child-output.ts';
import { PATIENCE_MS } from './eventually.ts';

/** A line of a service's log; a line that is not JSON, as of a crash, has only `msg`. */
export type LogLine = { msg?: string; [field: string]: unknown };

/** What one child process has written so far. */
export type CollectedLog = {
  /** Every line so far; grows. */
  lines: LogLine[];
  /**
   * Resolves with the first line, past ones included, that `predicate` accepts; rejects with the last lines when the
   * process has ended or `timeoutMs` (default 30 s) have passed without one.
   */
  waitFor(predicate: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  /** An error that shows the last lines. */
  error(message: string): Error;
};

/** Reads the output and the error output of `child` from now on. */
export function collectLog({ name, child }: { name: string; child: ChildProcess }): CollectedLog {
  const lines: LogLine[] = [];
  const watchers = new Set<() => void>();
  let ended: string | undefined;

  readLines(child, (text) => {
    lines.push(parse(text));
    for (const watch of watchers) watch();
  });
  once(child, 'close').then(([code, signal]) => {
    ended = signal ? `was ended by ${signal}` : `exited with code ${code}`;
    for (const watch of watchers) watch();
  });

  function error(message: string): Error {
    const last = lines.slice(-10).map((line) => (isPlain(line) ? line.msg : JSON.stringify(line)));
    return new Error([message, 'Its last log lines:', ...last].join('\n'));
  }

  async function waitFor(predicate: (line: LogLine) => boolean, timeoutMs = PATIENCE_MS): Promise<LogLine> {
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>();
    const watch = () => {
      const found = lines.find(predicate);
      if (found) resolve(found);
      else if (ended) reject(error(`${name} ${ended} without the awaited log line`));
    };
    const timer = setTimeout(() => reject(error(`${name}: no such log line in ${timeoutMs} ms`)), timeoutMs);
    watchers.add(watch);
    watch();
    return promise.finally(() => {
      clearTimeout(timer);
      watchers.delete(watch);
    });
  }

  return { lines, waitFor, error };
}

function parse(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as LogLine;
  } catch {
    // not a log line, but worth keeping
  }
  return { msg: text };
}

function isPlain(line: LogLine): boolean {
  return Object.keys(line).length === 1;
}
