/** `npm start`: the whole system on this machine, its logs on this terminal. Ctrl-C stops all. */
import { runProgram } from '../../../bin/plain/user-error.mjs';
import { runSystem } from './run-system.ts';
import { readStartOptions } from './start-options.ts';
import { describeSystem, type System } from './system.ts';

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
  return runSystem(system, readyLines(system));
});

function readyLines(system: System): string[] {
  const { publicUrl: url, grpcAddress, tcpAddress, brokerUrl, telemetryUrl } = system;
  const lines = [
    ['public', `${url}/`],
    ['docs', `${url}/docs`],
    [
      'try',
      `curl ${url}/ -H 'content-type: application/json' -d '{"type":"PingRequest","data":{"sentAt":1}}'`,
    ],
    ['or', `node bin/req.mjs${url.endsWith(':8080') ? '' : ` --url ${url}/`}`],
  ];
  if (tcpAddress)
    lines.push(
      ['gRPC', `${grpcAddress}: ${datasetCommand(system)}`],
      ['TCP', `${tcpAddress}: ${tcpCommand(tcpAddress)}`],
    );
  if (!process.env.PUBLIC_EVENT_TYPES) lines.push(['stream', streamCommand(system)]);
  if (telemetryUrl) lines.push(['trace', 'node bin/trace.mjs --last']);
  if (brokerUrl) lines.push(['broker', `${brokerUrl} (embedded, in memory, for development only)`]);
  lines.push(['status', 'node bin/status.mjs']);
  lines.push(['stop', 'Ctrl-C']);
  return ['ready', ...lines.map(([what, how]) => `  ${what?.padEnd(7)} ${how}`)];
}

function datasetCommand({ grpcAddress, brokerUrl }: System) {
  const atOtherPort = grpcAddress.endsWith(':50051') ? '' : ` --url ${grpcAddress}`;
  // A broker of the user's is not named: its URL may hold a password.
  if (!brokerUrl) return `AMQP_URL=<as here> node bin/dataset-client.mjs${atOtherPort}`;
  const atOtherBroker = brokerUrl.endsWith(':5672') ? '' : ` --amqp ${brokerUrl}`;
  return `node bin/dataset-client.mjs${atOtherPort}${atOtherBroker}`;
}

function streamCommand({ grpcAddress }: System) {
  return `node bin/stream-client.mjs${grpcAddress.endsWith(':50051') ? '' : ` --url ${grpcAddress}`}`;
}

function tcpCommand(address: string) {
  const [, port] = address.split(':');
  return `node bin/tcp-client.mjs${port === '9000' ? '' : ` --port ${port}`}`;
}
