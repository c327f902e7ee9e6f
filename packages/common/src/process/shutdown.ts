/**
 * Shutdown: named steps in order, under one deadline (`shutdown-bounds.ts`).
 *
 * SIGTERM and SIGINT start it; a second signal changes nothing, because a terminal and a process runner often both
 * deliver the same Ctrl-C. The process exits 0 when all steps are done, 1 when the deadline passes first or a step fails.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { SHUTDOWN_DEADLINE_MS } from '../shutdown-bounds.ts';
import { within } from '../within.ts';

export type ShutdownStep = {
  name: string;
  /**
   * What takes longer is left to end with the process, and counts as no failure: for steps that may wait for a peer that
   * does not answer. Default: no bound but the deadline of all.
   */
  maxMs?: number;
  run(): unknown;
};

/**
 * Installs the signal handlers. An uncaught error is logged and ends the process at once with code 1: after it,
 * nothing that the process believes can be trusted, and everything that was accepted is still in the broker.
 *
 * @param onSignal called first and synchronously, to turn readiness off.
 * @param pauseMs how long all goes on as before after that, until balancers have looked (default 0). The deadline begins then.
 */
export function shutdownOnSignal({
  log,
  onSignal,
  steps,
  pauseMs = 0,
  deadlineMs = SHUTDOWN_DEADLINE_MS,
}: {
  log: Logger;
  onSignal(): void;
  steps: readonly ShutdownStep[];
  pauseMs?: number;
  deadlineMs?: number;
}): void {
  let isStopping = false;
  async function stop(signal: NodeJS.Signals): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    log.info({ signal }, 'stopping');
    onSignal();
    if (pauseMs > 0) await delay(pauseMs);
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
  for (const { name, maxMs, run } of steps) {
    try {
      log.debug({ step: name }, 'shutdown step');
      const done = Promise.resolve(run());
      if (maxMs === undefined) await done;
      else if (!(await within(maxMs, done))) log.warn({ step: name, maxMs }, 'shutdown step left unfinished');
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
