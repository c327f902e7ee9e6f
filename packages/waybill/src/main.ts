#!/usr/bin/env node
/** `npx waybill COMMAND`: one front for the programs of Waybill, each of which has a `--help` of its own. */
import { keepCompiled } from '../../../bin/plain/keep-compiled.mjs';
import { runProgram, UserError } from '../../../bin/plain/user-error.mjs';

type Command = { does: string; run: () => Promise<unknown> };

const commands: Record<string, Command> = {
  new: { does: 'makes a project with a listener and its tests', run: () => import('./new.ts') },
  dev: {
    does: 'runs a whole system in memory, and your listeners in it',
    run: () => import('@waybill/tools/dev.ts'),
  },
  send: { does: 'sends an event, and prints the answer', run: () => import('../../../bin/req.mjs') },
  status: {
    does: 'shows how a running system is: tiers, types, queues, dead letters',
    run: () => import('@waybill/tools/status.ts'),
  },
  trace: { does: "draws an event's way", run: () => import('../../../bin/trace.mjs') },
  'dead-letters': {
    does: 'lists, replays and discards what was given up',
    run: () => import('@waybill/tools/dead-letters.ts'),
  },
  mesh: {
    does: 'shows and makes connections of a site of a mesh, and calls methods over it',
    run: () => import('@waybill/tools/mesh.ts'),
  },
  types: {
    does: 'writes down what handlers say of their data, for clients and for the docs',
    run: () => import('@waybill/tools/describe-types.ts'),
  },
  demo: {
    does: 'starts a system, shows its main job once and stops it',
    run: () => import('@waybill/tools/demo.ts'),
  },
  'dataset-client': {
    does: 'asks for a dataset, as a client of one does, and checks what comes',
    run: () => import('@waybill/tools/dataset-client.ts'),
  },
};

const usage = [
  'usage: npx waybill COMMAND [options]',
  '',
  ...Object.entries(commands).map(([name, { does }]) => `  ${name.padEnd(14)}${does}`),
  '',
  'npx waybill COMMAND --help tells the options of each.',
].join('\n');

const [name = '--help', ...options] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command) {
  keepCompiled();
  // The program finds its own options where it always does, and its name as the user has typed it.
  process.argv.splice(1, Number.POSITIVE_INFINITY, `npx waybill ${name}`, ...options);
  await command.run();
} else
  await runProgram(async () => {
    if (name !== '--help') throw new UserError(`there is no command ${name}; see npx waybill --help`);
    console.log(usage);
  });
