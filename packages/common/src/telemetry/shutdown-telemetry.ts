/** The end of telemetry, for services that may or may not run under the preload. */
import { within } from '../within.ts';

/** Where the preload leaves the SDK's shutdown. */
export const SHUTDOWN_TELEMETRY = Symbol.for('waybill.shutdown-telemetry');

/**
 * Sends the spans and metrics that wait, and stops the SDK: one of the last steps of a process, before `flushLogs()`.
 * Takes no longer than `timeoutMs` (default 2,000), never rejects, and does nothing when telemetry is off.
 */
export async function shutdownTelemetry({ timeoutMs = 2_000 }: { timeoutMs?: number } = {}): Promise<void> {
  const shutdown: (() => Promise<void>) | undefined = Reflect.get(globalThis, SHUTDOWN_TELEMETRY);
  if (shutdown === undefined) return;
  // A backend that is down must not change how a process exits; `OTEL_LOG_LEVEL=error` shows it.
  await within(
    timeoutMs,
    shutdown().catch(() => {}),
  );
}
