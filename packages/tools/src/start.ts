/** `npm start`: the whole system on this machine, its logs on this terminal. Ctrl-C stops all. */
import { styleText } from 'node:util';
import { runProgram } from '../../../bin/plain/user-error.mjs';
import { runServices } from './run-services.ts';
import { describeSystem, type System } from './system.ts';

const colours = ['cyan', 'magenta', 'green', 'yellow', 'blue'] as const;

/** One Ctrl-C can arrive twice within an instant; a second one on purpose comes later and kills. */
const SAME_SIGNAL_MS = 1_000;
/** How often it is looked whether npm is still there. */
const PARENT_INTERVAL_MS = 500;
/** After this long without being ready, it is said once what is being waited for. */
const SLOW_START_MS = 10_000;

// A full disk, or a reader that is gone, costs the lines and not the system.
process.stdout.on('error', () => {});

/** Ends with exit code 0 after a signal if every service ended with 0; with 1 when one ended by itself. */
await runProgram(async () => {
  const system = await describeSystem(process.env);
  const stopped = stopSignal();
  const services = runServices({ stages: system.stages, onLine: createPrinter(system.stages.flat()) });
  const slow = setTimeout(() => printSlow(services.waitingFor(), system), SLOW_START_MS);
  services.ready.then(() => {
    clearTimeout(slow);
    printReady(system);
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
});

/** Resolves with nothing at the first signal that asks to stop. */
function stopSignal() {
  return new Promise<undefined>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve(undefined));
    // A SIGTERM for npm ends npm and the shell between, and comes no further.
    const { ppid } = process;
    const isGone = () => process.env.npm_lifecycle_event !== undefined && process.ppid !== ppid;
    setInterval(() => isGone() && resolve(undefined), PARENT_INTERVAL_MS).unref();
  });
}

/** Prints each line with the name of its service before it. */
function createPrinter(services: { name: string }[]) {
  const width = Math.max(...services.map(({ name }) => name.length));
  const prefixes = new Map(
    services.map(({ name }, index) => {
      const colour = colours[index % colours.length] ?? 'cyan';
      return [name, styleText(colour, name.padEnd(width), { stream: process.stdout })];
    }),
  );
  return (name: string, line: string) => console.log(`${prefixes.get(name)} | ${line}`);
}

function printSlow(names: string[], { brokerUrl }: System) {
  const hint = brokerUrl ? '' : ': is the broker of AMQP_URL running?';
  console.log(`still waiting for ${names.join(', ')}${hint}`);
}

function printReady(system: System) {
  const { publicUrl: url, grpcAddress, tcpAddress, brokerUrl, telemetryUrl } = system;
  const lines = [
    ['public', `${url}/`],
    ['docs', `${url}/docs`],
    [
      'try',
      `curl ${url}/ -H 'content-type: application/json' -d '{"type":"PingRequest","data":{"sentAt":1}}'`,
    ],
    ['or', `node bin/req.mjs${url.endsWith(':8080') ? '' : ` --url ${url}/`}`],
    ['gRPC', `${grpcAddress}: ${datasetCommand(system)}`],
    ['TCP', `${tcpAddress}: ${tcpCommand(system)}`],
  ];
  if (telemetryUrl) {
    const option = telemetryUrl.endsWith(':4318') ? '' : ` --tempo-url ${telemetryUrl}`;
    lines.push(['trace', `node bin/trace.mjs <trace id>${option}`]);
  }
  if (brokerUrl) lines.push(['broker', `${brokerUrl} (embedded, in memory, for development only)`]);
  lines.push(['stop', 'Ctrl-C']);
  console.log(['ready', ...lines.map(([what, how]) => `  ${what?.padEnd(7)} ${how}`)].join('\n'));
}

function datasetCommand({ grpcAddress, brokerUrl }: System) {
  const atOtherPort = grpcAddress.endsWith(':50051') ? '' : ` --url ${grpcAddress}`;
  // A broker of the user's is not named: its URL may hold a password.
  if (!brokerUrl) return `AMQP_URL=<as here> node bin/dataset-client.mjs${atOtherPort}`;
  const atOtherBroker = brokerUrl.endsWith(':5672') ? '' : ` --amqp ${brokerUrl}`;
  return `node bin/dataset-client.mjs${atOtherPort}${atOtherBroker}`;
}

function tcpCommand({ tcpAddress }: System) {
  const [, port] = tcpAddress.split(':');
  return `node bin/tcp-client.mjs${port === '9000' ? '' : ` --port ${port}`}`;
}
