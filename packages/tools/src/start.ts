/** `npm start`: the whole system on this machine, its logs on this terminal. Ctrl-C stops all. */
import { runProgram } from '../../../bin/plain/user-error.mjs';
import { createPrinter } from './print-logs.ts';
import { runServices } from './run-services.ts';
import { noteRunningSystem } from './running-systems.ts';
import { readStartOptions } from './start-options.ts';
import { describeSystem, noteOf, type System } from './system.ts';

const usage = `usage: npm start -- [options]

  --port-offset <n>  move every port that no variable sets by this much (for a second Waybill: 100)
  --help             print this

Settings are environment variables: docs/configuration.md lists them. Without AMQP_URL there is a broker in memory.
On a terminal the log is made for reading, without the requests that went well; LOG_LEVEL=info shows them, and
LOG_LEVEL=debug everything.`;

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
  const { help, portOffset } = readStartOptions();
  if (help) return console.log(usage);
  const system = await describeSystem(process.env, { portOffset });
  for (const doubt of system.doubts) console.error(doubt);
  const stopped = stopSignal();
  const onLine = createPrinter({
    names: system.stages.flat().map(({ name }) => name),
    level: process.env.LOG_LEVEL,
  });
  const services = runServices({ stages: system.stages, onLine });
  process.on('exit', noteRunningSystem(noteOf(system)));
  const slow = setTimeout(() => printSlow(services.waitingFor()), SLOW_START_MS);
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

function printSlow(names: string[]) {
  console.log(`still waiting for ${names.join(', ')}`);
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
