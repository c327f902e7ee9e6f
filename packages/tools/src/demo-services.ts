/** The services of a demo: quiet, unless they fail. */
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../../bin/plain/user-error.mjs';
import type { RunningServices } from './run-services.ts';

/** Of one system. */
const START_DEADLINE_MS = 60_000;
/** Of each service, for the case that it fails. */
const KEPT_LINES = 20;

/** Telemetry goes to the demo's own collector, and nothing speaks TLS, whatever is set. */
export function demoEnv() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_') && !name.startsWith('TLS_')),
  );
}

/** Keeps the last lines of each service. */
export function createOutputKeeper() {
  const linesOf = new Map<string, string[]>();
  return {
    keep(name: string, line: string) {
      const lines = linesOf.get(name) ?? [];
      linesOf.set(name, [...lines.slice(1 - KEPT_LINES), line]);
    },
    last: (name: string) => linesOf.get(name) ?? [],
  };
}

/** Rejects when a service has ended, with what it said last. */
export async function endedByItself(
  firstEnd: Promise<{ name: string; how: string }>,
  output: ReturnType<typeof createOutputKeeper>,
): Promise<never> {
  const { name, how } = await firstEnd;
  throw new UserError([`the demo failed: ${name} ${how}; it said last:`, ...output.last(name)].join('\n  '));
}

/** @throws UserError when a service did not end as it was told to, with what it said last. */
export function assertStopped(
  ends: readonly { name: string; how: string; isClean: boolean }[],
  output: ReturnType<typeof createOutputKeeper>,
): void {
  const unclean = ends.filter(({ isClean }) => !isClean);
  if (unclean.length === 0) return;
  const said = unclean.map(({ name, how }) =>
    [`${name} ${how}; it said last:`, ...output.last(name)].join('\n  '),
  );
  throw new UserError(['the demo failed while stopping:', ...said].join('\n'));
}

/** Rejects when the services of `systems` that start together take too long to be ready. */
export async function startDeadline({ waitingFor }: RunningServices, systems = 1): Promise<never> {
  await delay(START_DEADLINE_MS * systems, undefined, { ref: false });
  const seconds = (START_DEADLINE_MS * systems) / 1000;
  throw new UserError(`the demo failed: not ready within ${seconds} s: ${waitingFor().join(', ')}`);
}
