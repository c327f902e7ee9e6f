/**
 * The worker thread that exports log lines: pino-opentelemetry-transport, with a bound on its end.
 *
 * The exporter's timeout is one of silence, so a backend that trickles holds up an export for as long as it likes; and
 * at the exit of a process its main thread waits for the worker, deaf to all else.
 */
import { createRequire } from 'node:module';
import { parentPort } from 'node:worker_threads';
import startTransport from 'pino-opentelemetry-transport';
import { watchExports } from './watch-exports.ts';

type Options = Parameters<typeof startTransport>[0] & {
  /** How long after the last line the worker ends at the latest, whatever is not exported by then. */
  endWithinMs: number;
};

/** What pino starts in the worker. */
// biome-ignore lint/style/noDefaultExport: what pino looks for.
export default async function startOtlpLogWorker({ endWithinMs, ...options }: Options) {
  // The copy that the transport exports by, which may be of another version than ours.
  const requireOfTransport = createRequire(import.meta.resolve('pino-opentelemetry-transport'));
  const { OTLPExporterBase } = requireOfTransport('@opentelemetry/otlp-exporter-base');
  watchExports(OTLPExporterBase, (failing) =>
    // thread-stream emits it on the transport's stream.
    parentPort?.postMessage({ code: 'EVENT', name: 'failing', args: [failing] }),
  );
  const stream = await startTransport(options);
  // `close` is what thread-stream waits for, and comes by itself once all is exported.
  stream.once('finish', () => setTimeout(() => stream.emit('close'), endWithinMs));
  return stream;
}
