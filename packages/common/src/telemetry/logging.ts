/**
 * Logs: one JSON line each on stdout; and, when a logs endpoint is set, once more over OTLP from a worker thread.
 *
 * Neither can hold up the process (`line-writer.ts`, `otlp-log-worker.ts`): lines that find no room are dropped and
 * counted. `flushLogs` and the exit of the process write what waits.
 *
 * `trace_id` and `span_id` come from the active span by themselves (pino instrumentation, see `otel-sdk.ts`); callers
 * add `event_id` and `event_type`.
 */
import { once } from 'node:events';
import { constants, fstatSync, openSync } from 'node:fs';
import { extname } from 'node:path';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { type DestinationStream, type Level, type Logger, type LoggerOptions, pino } from 'pino';
import { resourceAttributes } from '../instance.ts';
import { within } from '../within.ts';
import { isExported } from './exported-signals.ts';
import { createLineWriter, type LineWriter } from './line-writer.ts';
import { logLinesDropped } from './metrics.ts';
import { redactSecrets } from './redact-secrets.ts';
import { serializeError } from './serialize-error.ts';
import { failingExports } from './watch-exports.ts';

/** Severity numbers of the OpenTelemetry logs data model. */
const SEVERITIES: Record<Level, number> = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 };

/**
 * How long the worker may take to export a batch; below the usual 10 s, because at its end it blocks the process for up
 * to twice as long: thread-stream waits for its worker, and that for an export under way, but no longer than
 * `endWithinMs`. `OTEL_EXPORTER_OTLP_LOGS_TIMEOUT` can only shorten it.
 */
const EXPORT_TIMEOUT_MS = 1_000;

/** Most bytes that wait for a reader of stdout, and how long one is waited for at exit. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
const EXIT_FLUSH_MS = 500;

/** What thread-stream has but its types leave out. */
type OtlpTransport = ReturnType<typeof pino.transport> & { writable: boolean; writableNeedDrain: boolean };
let stdout: LineWriter | undefined;
let otlpTransport: OtlpTransport | undefined;

/**
 * Creates the logger of a process. Lines carry `level` as a word, `time` in milliseconds since the epoch, `service`
 * and `msg`; secrets in them are replaced (see `redact-secrets.ts`).
 *
 * @param level lowest level that is logged (default `info`).
 */
export function createLogger({
  service,
  level = 'info',
}: {
  service: string;
  level?: Level | 'silent';
}): Logger {
  const options: LoggerOptions = {
    level,
    base: { service },
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: serializeError },
    hooks: { streamWrite: redactSecrets },
  };
  if (!stdout) failingExports.subscribe((failing) => log.warn(failing, 'what is exported does not arrive'));
  stdout ??= startStdout(() => log);
  const log = pino(options, destination(stdout));
  return log;
}

function destination(stdout: LineWriter): DestinationStream {
  if (!isExported('logs')) return stdout;
  otlpTransport ??= startOtlpTransport();
  const streams = [stdout, toOtlp(otlpTransport)];
  return pino.multistream(streams.map((stream) => ({ stream, level: 'trace' as const })));
}

/**
 * Sends the lines that wait and ends their export; later lines go to stdout only. One of the last steps of a process.
 * Never rejects; takes no longer than two exports may (2 s): one that is under way, and that of the rest.
 */
export async function flushLogs(): Promise<void> {
  await Promise.all([flushStdout(), flushOtlp()]);
}

async function flushStdout(): Promise<void> {
  if (stdout) await within(EXIT_FLUSH_MS, stdout.flushed());
}

async function flushOtlp(): Promise<void> {
  const transport = otlpTransport;
  if (transport === undefined || !transport.writable) return;
  const ended = Promise.race([once(transport, 'finish'), once(transport, 'close')]);
  transport.end();
  await within(
    EXPORT_TIMEOUT_MS,
    ended.catch(() => {}),
  );
}

/** Drops lines while 4 MB wait to be written. At the exit it waits for a reader no longer than half a second. */
function startStdout(log: () => Logger): LineWriter {
  const stats = fstatSync(1);
  const own = stats.isFIFO() || isatty(1) ? openOwn() : undefined;
  // Looked at, it becomes a stream of Node's, which does not block until another process that shares it ends.
  if (own === undefined && (stats.isFIFO() || stats.isSocket())) void process.stdout;
  const writer = createLineWriter({
    fd: own ?? 1,
    isNonBlocking: own !== undefined,
    maxWaitingBytes: MAX_WAITING_BYTES,
    onFailing: (error) => log().error({ err: error }, 'stdout takes no log lines'),
    onDropped: () => logLinesDropped.add(1, { to: 'stdout' }),
    onRecovered: (dropped) => log().warn({ dropped }, 'log lines dropped: stdout took none'),
  });
  process.on('exit', () => writer.flushSync(EXIT_FLUSH_MS));
  return writer;
}

/**
 * The pipe or the terminal that is stdout, opened once more: a write to it waits for nothing, whatever a process that shares stdout
 * makes of that. A write to stdout itself blocks while its reader stalls, or the terminal is held (Ctrl-S).
 */
function openOwn(): number | undefined {
  try {
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // No such file, as outside of Linux, one of another user, or a pipe that nobody reads any more.
    return undefined;
  }
}

function startOtlpTransport(): OtlpTransport {
  const transport = pino.transport({
    target: fileURLToPath(new URL(`otlp-log-worker${extname(import.meta.filename)}`, import.meta.url)),
    options: {
      endWithinMs: 2 * EXPORT_TIMEOUT_MS,
      loggerName: 'waybill',
      resourceAttributes: resourceAttributes(),
      severityNumberMap: SEVERITIES,
    },
    worker: {
      env: {
        ...process.env,
        // Its default detectors would add the paths and the name of the machine.
        OTEL_NODE_RESOURCE_DETECTORS: 'none',
        OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: String(
          Math.min(
            Number(process.env.OTEL_EXPORTER_OTLP_LOGS_TIMEOUT) || EXPORT_TIMEOUT_MS,
            EXPORT_TIMEOUT_MS,
          ),
        ),
      },
    },
  }) as OtlpTransport;
  // pino would tell the transport its numeric levels; our lines carry labels.
  const labels = Object.fromEntries(Object.keys(SEVERITIES).map((label) => [label, label]));
  transport.emit('message', {
    code: 'PINO_CONFIG',
    config: { messageKey: 'msg', errorKey: 'err', levels: { labels } },
  });
  transport.on('failing', (failing) => failingExports.publish(failing));
  // Without the worker the lines still reach stdout; unheard, its error would end the process.
  transport.on('error', (error: Error) =>
    process.emitWarning(`logs are no longer exported: ${error.message}`),
  );
  return transport;
}

/** Drops lines while 4 MB wait in the worker's buffer: it would grow without bound. */
function toOtlp(transport: OtlpTransport): DestinationStream {
  return {
    write(line) {
      if (!transport.writable) return;
      if (transport.writableNeedDrain) logLinesDropped.add(1, { to: 'otlp' });
      else transport.write(line);
    },
  };
}
