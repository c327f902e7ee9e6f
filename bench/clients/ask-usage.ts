import { createInterface } from 'node:readline';
import { rssBytes } from '../process-usage.ts';
import type { BenchProcess } from '../start-process.ts';

/** What a process has to load to be asked. */
export const USAGE_PRELOAD = './bench/clients/tell-usage.ts';

const PREFIX = '{"usage":';

/** What a process holds once its garbage is collected. */
export type Usage = {
  rssBytes: number;
  heapBytes: number;
  /** Buffers, and what else V8 knows of outside of its heap. */
  externalBytes: number;
  /** By how much its event loop was late at most since it was last asked. */
  loopDelayMs: number;
};

/** Asks a process that was started with {@link USAGE_PRELOAD}. */
export async function askUsage({ pid, stdout }: BenchProcess): Promise<Usage> {
  const lines = createInterface({ input: stdout });
  const { promise, resolve } = Promise.withResolvers<string>();
  lines.on('line', (line) => {
    if (line.startsWith(PREFIX)) resolve(line);
  });
  process.kill(pid, 'SIGUSR2');
  const line = await promise;
  lines.close();
  // Closing has paused it.
  stdout.resume();
  return { rssBytes: rssBytes(pid), ...JSON.parse(line).usage };
}
