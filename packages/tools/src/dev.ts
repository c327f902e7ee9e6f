/** `npx waybill dev`: a system in memory, and the user's listeners in it, started again when a file of them is saved. */
import { programName } from '../../../bin/plain/program-name.mjs';
import { runProgram } from '../../../bin/plain/user-error.mjs';
import { createDescriptions } from './descriptions.ts';
import { findListeners } from './listeners.ts';
import { devLines } from './ready-lines.ts';
import { runSystem } from './run-system.ts';
import { readStartOptions } from './start-options.ts';
import { describeSystem } from './system.ts';

const usage = `usage: ${programName('dev.mjs')} [LISTENER ...] [options]

  LISTENER           the file of a listener (default: "main" of the package.json here)
  --port-offset <n>  move every port that no variable sets by this much (for a second Waybill: 100)
  --help             print this

Clients may send every type that a listener takes. Without AMQP_URL there is a broker in memory.
On a terminal the log is made for reading, without the requests that went well; LOG_LEVEL=info shows them, and
LOG_LEVEL=debug everything.`;

await runProgram(async () => {
  const { help, portOffset, files } = readStartOptions({ allowsFiles: true });
  if (help) return console.log(usage);
  const listeners = findListeners(files);
  const descriptions = createDescriptions();
  process.on('exit', descriptions.remove);
  const system = await describeSystem(process.env, {
    portOffset,
    listeners,
    descriptionsFile: descriptions.file,
  });
  return runSystem(system, devLines(system), descriptions.read);
});
