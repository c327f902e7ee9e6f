/**
 * Lines onto a file descriptor that may be a full disk, a terminal that was closed, or a pipe whose reader stalls. None
 * of these holds up the process: lines wait up to a bound, what comes beyond it is dropped and counted, and at the exit
 * of the process what cannot be written within a moment is dropped too.
 *
 * (pino's own destination ends the process at the first error, and at the exit tries for ever.)
 */
import { write as startWrite, writeSync } from 'node:fs';

/** About how much one write takes: what a container's log driver reads at once. */
const WRITE_BYTES = 16 * 1024;
/** How long the reader of a full pipe is given. */
const BUSY_MS = 100;
/** How often a descriptor that takes nothing is tried again: a disk may have room again. */
const RETRY_MS = 1_000;
/** How often a full pipe is tried at the exit, when nothing else can run. */
const EXIT_POLL_MS = 10;
const NOTHING = Buffer.alloc(0);

export type LineWriter = {
  /** Writes a line, which ends with `\n`, when its turn comes. Never throws, never blocks. */
  write(line: string): void;
  /** Resolves when all is written, or cannot be. A reader that stalls is waited for without a bound. */
  flushed(): Promise<void>;
  /** Writes what waits, taking `deadlineMs` at most: for the exit of the process. */
  flushSync(deadlineMs: number): void;
};

/**
 * Creates a {@link LineWriter}.
 *
 * @param fd must not block if it is a pipe: a write that never ends would hold up the exit of the process.
 * @param isNonBlocking whether a write to `fd` waits for nothing, for good: not so where another process shares the description that
 *   was opened, and can have it otherwise. Then it is made at once; a file's disk may stall, so that needs a thread of Node's pool,
 *   which has to be woken and to wake in turn.
 * @param maxWaitingBytes lines beyond are dropped.
 * @param onFailing called when writing begins to fail, but not for a reader that stalls.
 * @param onDropped called for each line that is dropped.
 * @param onRecovered called at the first write after lines were dropped, with their number.
 */
export function createLineWriter({
  fd,
  isNonBlocking = false,
  maxWaitingBytes,
  onFailing = () => {},
  onDropped = () => {},
  onRecovered = () => {},
}: {
  fd: number;
  isNonBlocking?: boolean;
  maxWaitingBytes: number;
  onFailing?(error: NodeJS.ErrnoException): void;
  onDropped?(): void;
  onRecovered?(dropped: number): void;
}): LineWriter {
  const waiting: string[] = [];
  /** What a write has left over: the next goes on from there, so that no line is cut. */
  let rest: Buffer = NOTHING;
  let waitingBytes = 0;
  /** `waits` for the time of the next write: the end of a turn of the event loop, whose lines go together, or a retry. */
  let state: 'idle' | 'writing' | 'waits' = 'idle';
  let isFailing = false;
  let dropped = 0;
  const onFlushed: (() => void)[] = [];

  function writeNext(): void {
    if (rest.length === 0) rest = Buffer.from(take(waiting));
    state = rest.length === 0 ? 'idle' : 'writing';
    if (state === 'idle') tellFlushed();
    else if (isNonBlocking) writeNow();
    else startWrite(fd, rest, onWritten);
  }

  function writeNow(): void {
    let error: NodeJS.ErrnoException | null = null;
    let bytes = 0;
    try {
      bytes = writeSync(fd, rest);
    } catch (thrown) {
      error = thrown as NodeJS.ErrnoException;
    }
    onWritten(error, bytes);
  }

  function onWritten(error: NodeJS.ErrnoException | null, bytes: number): void {
    if (error) {
      state = 'waits';
      setTimeout(writeNext, isBusy(error) ? BUSY_MS : RETRY_MS).unref();
      if (!isBusy(error)) fail(error);
      return;
    }
    rest = rest.subarray(bytes);
    waitingBytes -= bytes;
    recover();
    writeNext();
  }

  function fail(error: NodeJS.ErrnoException): void {
    tellFlushed();
    if (isFailing) return;
    isFailing = true;
    onFailing(error);
  }

  function recover(): void {
    const count = dropped;
    dropped = 0;
    isFailing = false;
    if (count > 0) onRecovered(count);
  }

  function tellFlushed(): void {
    for (const resolve of onFlushed.splice(0)) resolve();
  }

  return {
    write(line) {
      const bytes = Buffer.byteLength(line);
      if (waitingBytes + bytes > maxWaitingBytes) {
        dropped += 1;
        return onDropped();
      }
      waiting.push(line);
      waitingBytes += bytes;
      if (state !== 'idle') return;
      state = 'waits';
      setImmediate(writeNext);
    },
    flushed() {
      if (state === 'idle' || isFailing) return Promise.resolve();
      return new Promise((resolve) => onFlushed.push(resolve));
    },
    flushSync(deadlineMs) {
      const untilMs = performance.now() + deadlineMs;
      // A write under way ends before the process does.
      const left = [state === 'writing' ? NOTHING : rest, Buffer.from(waiting.splice(0).join(''))];
      writeUntil(untilMs, fd, Buffer.concat(left));
    },
  };
}

/** Takes lines for one write off those that wait. */
function take(waiting: string[]): string {
  let length = 0;
  const next = waiting.findIndex((line) => {
    length += line.length;
    return length > WRITE_BYTES;
  });
  return waiting.splice(0, next === -1 ? waiting.length : Math.max(1, next)).join('');
}

function writeUntil(untilMs: number, fd: number, bytes: Buffer): void {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let left = bytes; left.length > 0 && performance.now() < untilMs; ) {
    try {
      left = left.subarray(writeSync(fd, left));
    } catch (error) {
      if (!isBusy(error as NodeJS.ErrnoException)) return;
      Atomics.wait(clock, 0, 0, EXIT_POLL_MS);
    }
  }
}

function isBusy({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EAGAIN' || code === 'EBUSY';
}
