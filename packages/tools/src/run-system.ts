/** A system in the foreground: its logs on this terminal, until Ctrl-C or the end of one of its services stops all. */

import { noteRunningSystem } from '../../../bin/plain/running-systems.mjs';
import { findNpm, isRunning } from './npm-process.ts';
import { createPrinter } from './print-logs.ts';
import { runServices } from './run-services.ts';
import { noteOf, type System } from './system.ts';

/** One Ctrl-C can arrive twice within an instant; a second one on purpose comes later and kills. */
const SAME_SIGNAL_MS = 1_000;
/** How often it is looked whether npm is still there. */
const PARENT_INTERVAL_MS = 500;
/** After this long without being ready, it is said once what is being waited for. */
const SLOW_START_MS = 10_000;

/**
 * Runs it, and resolves with the exit code: 0 after a signal if every service ended with 0, 1 when one ended by itself.
 *
 * @param readyLines what is printed once it answers
 * @param onHealthPort is told each time where a listener of the user answers for its health
 */
export async function runSystem(
  system: System,
  readyLines: string[],
  onHealthPort: (name: string, readyUrl: string) => void = () => {},
): Promise<number> {
  // A full disk, or a reader that is gone, costs the lines and not the system.
  process.stdout.on('error', () => {});
  for (const doubt of system.doubts) console.error(doubt);
  const stopped = stopSignal();
  const onLine = createPrinter({
    names: system.stages.flat().map(({ name }) => name),
    level: process.env.LOG_LEVEL,
    isTerminal: process.stdout.isTTY,
  });
  const note = noteOf(system);
  const services = runServices({
    stages: system.stages,
    onLine,
    onHealthPort(name, readyUrl) {
      note.services = [...note.services.filter((service) => service.name !== name), { name, readyUrl }];
      noteRunningSystem(note);
      onHealthPort(name, readyUrl);
    },
  });
  process.on('exit', noteRunningSystem(note));
  const slow = setTimeout(() => printSlow(services.waitingFor()), SLOW_START_MS);
  services.ready.then(() => {
    clearTimeout(slow);
    console.log(readyLines.join('\n'));
  });

  const first = await Promise.race([stopped, services.firstEnd]);
  clearTimeout(slow);
  if (first) console.error(`${first.name} ${first.how}; stopping the others`);
  else console.log('stopping');
  const armed = setTimeout(() => process.on('SIGINT', services.kill), SAME_SIGNAL_MS);
  const ends = await services.stop();
  clearTimeout(armed);

  const unclean = ends.filter(({ name, isClean }) => !isClean && name !== first?.name);
  for (const { name, how } of unclean) console.error(`${name} ${how} while stopping`);
  return first || unclean.length > 0 ? 1 : 0;
}

/** Resolves with nothing at the first signal that asks to stop. */
function stopSignal() {
  return new Promise<undefined>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve(undefined));
    // A signal for npm ends npm, at most the shell between, and comes no further.
    const { ppid } = process;
    const npm = findNpm();
    const isByNpm = process.env.npm_lifecycle_event !== undefined;
    const isGone = () => isByNpm && (process.ppid !== ppid || !isRunning(npm));
    setInterval(() => isGone() && resolve(undefined), PARENT_INTERVAL_MS).unref();
  });
}

function printSlow(names: string[]) {
  console.log(`still waiting for ${names.join(', ')}`);
}
