/** Load by wrk, which asks so much at so little CPU that the systems measured keep the machine. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sum } from './statistics.ts';

/** An answer that takes longer counts as an error; above every deadline of the systems. */
const TIMEOUT_S = 60;
const script = fileURLToPath(new URL('wrk-report.lua', import.meta.url));

export type LoadOptions = {
  url: string;
  connections: number;
  seconds: number;
  /** The event to send, as JSON; default {@link PING}. Each `@` in it becomes `paddingBytes` letters. */
  body?: string;
  paddingBytes?: number;
  /** Counts answers of 503 apart from the errors (default: they are errors). */
  countsRefused?: boolean;
};

export type LoadReport = {
  /** Answered. */
  requests: number;
  durationUs: number;
  p50Us: number;
  p99Us: number;
  /** Answers of 503, where these are counted apart. */
  refused: number;
  /** Answers of 400 and above, and requests without one. */
  errors: number;
};

/** What every system is asked. */
export const PING = JSON.stringify({ type: 'PingRequest', data: { sentAt: 1 } });

/**
 * The load before the first measurement of a system: V8 compiles what it has seen some thousand times, a function for each batch later than one
 * for each request. After 3 s Waybill took a third more CPU for a request than after this; the others hardly more.
 */
export const WARM_UP = { connections: 64, seconds: 12 };

/**
 * Each connection sends the next request when the last was answered, from one thread.
 *
 * @throws when wrk is not installed or cannot reach the system.
 */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { url, connections, seconds, body = PING, paddingBytes = 0, countsRefused } = options;
  const args = [
    ...['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`],
    ...['--timeout', `${TIMEOUT_S}s`, '--script', script, url],
  ];
  const { stdout } = await promisify(execFile)('wrk', args, {
    env: {
      ...process.env,
      BENCH_BODY: body,
      BENCH_PADDING: String(paddingBytes),
      ...(countsRefused && { BENCH_COUNT_REFUSED: '1' }),
    },
  });
  const [, report] = stdout.match(/^REPORT (.*)$/m) ?? [];
  if (!report) throw new Error(`wrk reported nothing of ${url}: ${stdout}`);
  const { errors, ...figures } = JSON.parse(report);
  return { ...figures, errors: sum(Object.values(errors)) };
}

/** What wrk calls itself, or undefined where it is not installed. */
export async function wrkVersion(): Promise<string | undefined> {
  // It prints its version, and then its usage with exit code 1.
  const { stdout = '' } = await promisify(execFile)('wrk', ['--version']).catch((error) => error);
  return stdout.match(/wrk \S+/)?.[0];
}
