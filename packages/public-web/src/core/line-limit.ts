/**
 * Bounds the log lines that cost whoever causes them nothing: a batch of 200 events that nobody takes is 12 kB to send and
 * 38 kB of log, and a connection that is reset right after its request is one line.
 */
import type { Logger } from 'pino';

const WINDOW_MS = 1_000;
/** As many as tell what is going on; a day of them is 200 MB. */
const MAX_LINES = 10;

/** Whether one more line may be logged now. How many of each `kind` may not is logged in a line each second. */
export type LineLimit = { allows(kind: string): boolean };

/** Creates a {@link LineLimit} of 10 lines a second. */
export function createLineLimit(log: Pick<Logger, 'info'>): LineLimit {
  const leftOut = new Map<string, number>();
  let lines = 0;

  function endWindow(): void {
    lines = 0;
    if (leftOut.size === 0) return;
    log.info({ left_out: Object.fromEntries(leftOut) }, 'further events answered, not logged one by one');
    leftOut.clear();
  }

  return {
    allows(kind) {
      if (lines === 0) setTimeout(endWindow, WINDOW_MS).unref();
      lines += 1;
      if (lines > MAX_LINES) leftOut.set(kind, (leftOut.get(kind) ?? 0) + 1);
      return lines <= MAX_LINES;
    },
  };
}
