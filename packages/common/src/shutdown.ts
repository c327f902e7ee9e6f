/**
 * Shutdown: named steps in order, under one deadline.
 *
 * SIGTERM and SIGINT start it; a second signal changes nothing, because a terminal and a process runner often both
 * deliver the same Ctrl-C. The process exits 0 when all steps are done, 1 when the deadline passes first or a step fails.
 */
import type { Logger } from 'pino';

/** From `faults.md`: drain within 10 s. */
export const SHUTDOWN_DEADLINE_MS = 10_000;

/** How long work under way is waited for. What follows (connections and telemetry, at most 3 s) fits into the rest. */
export const DRAIN_MS = 6_000;

/** How long what is left after the drain is waited for when its connection closes. */
export const CLOSE_MS = 1_000;

export type ShutdownStep = { name: string; run(): unknown };

/**
 * Installs the signal handlers. An uncaught error is logged and ends the process at once with code 1: after it,
 * nothing that the process believes can be trusted, and everything that was accepted is still in the broker.
 *
 * @param onSignal called first and synchronously, to turn readiness off.
 */
export function shutdownOnSignal({
  log,
  onSignal,
  steps,
  deadlineMs = SHUTDOWN_DEADLINE_MS,
}: {
  log: Logger;
  onSignal(): void;
  steps: readonly ShutdownStep[];
  deadlineMs?: number;
}): void {
  let isStopping = false;
  async function stop(signal: NodeJS.Signals): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    log.info({ signal }, 'stopping');
    onSignal();
    // Keeps the process alive: a step that nothing can settle any more must not end it with code 0.
    setTimeout(() => exitAfterDeadline(log, deadlineMs), deadlineMs);
    const hasFailed = await runSteps(log, steps);
    process.exit(hasFailed ? 1 : 0);
  }
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  });
}

async function runSteps(log: Logger, steps: readonly ShutdownStep[]): Promise<boolean> {
  let hasFailed = false;
  for (const { name, run } of steps) {
    try {
      log.debug({ step: name }, 'shutdown step');
      await run();
    } catch (error) {
      hasFailed = true;
      log.error({ err: error, step: name }, 'shutdown step failed');
    }
  }
  return hasFailed;
}

function exitAfterDeadline(log: Logger, deadlineMs: number): void {
  log.error({ deadlineMs }, 'shutdown took too long');
  process.exit(1);
}
