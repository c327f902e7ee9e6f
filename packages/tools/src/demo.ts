/**
 * `npm run demo`: starts the whole system, sends a ping, shows the answer and the trace of that very ping, has
 * a dataset sent to a client's queue and checks it, stops everything. Exits 0; on a failure it says which part failed and exits 1.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { extname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { programName } from '../../../bin/plain/program-name.mjs';
import { interrupted, runProgram, UserError } from '../../../bin/plain/user-error.mjs';
import { type RunningServices, runServices } from './run-services.ts';
import { readStartOptions } from './start-options.ts';
import { describeSystem, type System } from './system.ts';

/** Each by the file that a user of the repository runs, and by the command of one who has installed `waybill`. */
const programs = {
  req: { url: new URL('../../../bin/req.mjs', import.meta.url), command: 'send' },
  trace: { url: new URL('../../../bin/trace.mjs', import.meta.url), command: 'trace' },
  'dataset-client': {
    url: new URL(`dataset-client${extname(import.meta.filename)}`, import.meta.url),
    command: 'dataset-client',
  },
};
const isByNpx = programName('demo.mjs').startsWith('npx ');

const START_DEADLINE_MS = 60_000;
/** Of each service, for the case that it fails. */
const KEPT_LINES = 20;

const usage = `usage: ${isByNpx ? programName('demo.mjs') : 'npm run demo --'} [options]

  --port-offset <n>  move every port by this much
  --help             print this`;

await runProgram(async () => {
  const { help, portOffset } = readStartOptions();
  if (help) return console.log(usage);
  const system = await describeSystem(demoEnv(), { portOffset });
  for (const doubt of system.doubts) console.error(doubt);
  const startedAt = performance.now();
  const output = createOutputKeeper();
  const services = runServices({ stages: system.stages, onLine: output.keep });
  /** What ends the demo early, from wherever it is. */
  const trouble = Promise.race([interrupted(), endedByItself(services.firstEnd, output)]);
  trouble.catch(() => {});
  let failure: unknown;
  try {
    console.log(
      `starting ${system.stages
        .flat()
        .map(({ name }) => name)
        .join(', ')}`,
    );
    await Promise.race([services.ready, trouble, startDeadline(services)]);
    console.log(`ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
    await Promise.race([showPing(system), trouble]);
    await Promise.race([showDataset(system), trouble]);
  } catch (error) {
    failure = error;
  }
  const ends = await services.stop();
  if (failure) throw failure;
  const unclean = ends.filter(({ isClean }) => !isClean).map(({ name, how }) => `${name} ${how}`);
  if (unclean.length > 0) throw new UserError(`the demo failed while stopping: ${unclean.join(', ')}`);
  console.log(`\nstopped${isByNpx ? '' : '; npm start runs the same until Ctrl-C'}`);
});

/** Telemetry goes to the demo's own collector, whatever is set. */
function demoEnv() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_')));
}

function createOutputKeeper() {
  const linesOf = new Map<string, string[]>();
  return {
    keep(name: string, line: string) {
      const lines = linesOf.get(name) ?? [];
      linesOf.set(name, [...lines.slice(1 - KEPT_LINES), line]);
    },
    last: (name: string) => linesOf.get(name) ?? [],
  };
}

async function endedByItself(
  firstEnd: Promise<{ name: string; how: string }>,
  output: ReturnType<typeof createOutputKeeper>,
): Promise<never> {
  const { name, how } = await firstEnd;
  throw new UserError([`the demo failed: ${name} ${how}; it said last:`, ...output.last(name)].join('\n  '));
}

async function startDeadline({ waitingFor }: RunningServices): Promise<never> {
  await delay(START_DEADLINE_MS, undefined, { ref: false });
  const seconds = START_DEADLINE_MS / 1000;
  throw new UserError(`the demo failed: not ready within ${seconds} s: ${waitingFor().join(', ')}`);
}

async function showPing({ publicUrl, telemetryUrl }: System) {
  const toOtherPort = publicUrl.endsWith(':8080') ? [] : ['--url', `${publicUrl}/`];
  const answer = await show('req', toOtherPort);
  const traceId = /^trace id: ([0-9a-f]{32})$/m.exec(answer)?.[1];
  if (!traceId) throw new UserError('the demo failed: the answer names no trace');
  console.log();
  const atOtherPort = telemetryUrl?.endsWith(':4318')
    ? []
    : ['--tempo-url', `${telemetryUrl}`, '--wait-ms', '2000'];
  await show('trace', [traceId, ...atOtherPort], { isRead: false });
}

async function showDataset({ grpcAddress, clientBrokerUrl }: System) {
  console.log();
  // A name of its own: on a broker of yours there may be such a queue already.
  const client = ['--client', `demo-${randomUUID().slice(0, 8)}`];
  const atOtherPort = grpcAddress.endsWith(':50051') ? [] : ['--url', grpcAddress];
  // The URL may hold a password, so it does not show among the arguments.
  const env = { AMQP_URL: clientBrokerUrl };
  await show('dataset-client', [...client, ...atOtherPort], { isRead: false, env });
}

/**
 * Runs a program of ours as the user would.
 *
 * @param options whether its output is read on its way, else it sees the terminal itself; what is added to its environment
 * @returns its output, if it was read
 */
async function show(
  program: keyof typeof programs,
  args: string[],
  { isRead = true, env = {} }: { isRead?: boolean; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { url, command } = programs[program];
  const name = isByNpx ? `waybill ${command}` : `bin/${program}.mjs`;
  console.log(`$ ${[isByNpx ? 'npx' : 'node', name, ...args].join(' ')}`);
  const child = spawn(process.execPath, [fileURLToPath(url), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', isRead ? 'pipe' : 'inherit', 'inherit'],
  });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
    process.stdout.write(chunk);
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new UserError(`the demo failed: ${name} ended with exit code ${code}`);
  return text;
}
