/** `npm start`: the whole system on this machine, its logs on this terminal. Ctrl-C stops all. */
import { runProgram } from '../../../bin/plain/user-error.mjs';
import { startLines } from './ready-lines.ts';
import { runSystem } from './run-system.ts';
import { readStartOptions } from './start-options.ts';
import { describeSystem } from './system.ts';

const usage = `usage: npm start -- [options]

  --port-offset <n>  move every port that no variable sets by this much (for a second Waybill: 100)
  --without-datasets leave out the two services that send datasets to clients
  --help             print this

Settings are environment variables: docs/configuration.md lists them. Without AMQP_URL there is a broker in memory.
On a terminal the log is made for reading, without the requests that went well; LOG_LEVEL=info shows them, and
LOG_LEVEL=debug everything.`;

await runProgram(async () => {
  const { help, portOffset, withoutDatasets } = readStartOptions({ hasDatasets: true });
  if (help) return console.log(usage);
  const system = await describeSystem(process.env, { portOffset, withoutDatasets });
  return runSystem(system, startLines(system));
});
