/** What `npm start` and `npx waybill dev` print once the system answers: where it is, and what to type. */
import type { System } from './system.ts';

/** What they are made of. */
type Ready = Omit<System, 'stages' | 'ports' | 'doubts' | 'clientBrokerUrl'>;

/** As the shell fills it in, so that no key is printed. */
const KEY_HEADER = '-H "authorization: Bearer $WAYBILL_API_KEY" ';

/** Of `npm start`. */
export function startLines(system: Ready): string[] {
  const { publicUrl: url, grpcAddress, tcpAddress, telemetryUrl, needsKey } = system;
  const lines = [
    ...firstLines(system),
    [
      'try',
      `curl ${trustOf(url)}${url}/ ${needsKey ? KEY_HEADER : ''}-H 'content-type: application/json' -d '{"type":"PingRequest","data":{"sentAt":1}}'`,
    ],
    ['or', `node bin/req.mjs${toHttp(url)}`],
  ];
  if (tcpAddress)
    lines.push(
      ['gRPC', `${grpcAddress}: ${datasetCommand(system)}`],
      ['TCP', `${tcpAddress}: ${tcpCommand(tcpAddress)}`],
    );
  if (!process.env.PUBLIC_EVENT_TYPES) lines.push(['stream', streamCommand(system)]);
  if (telemetryUrl) lines.push(['trace', 'node bin/trace.mjs --last']);
  return toText([...lines, ...brokerLine(system), ['status', 'node bin/status.mjs']]);
}

/** Of `npx waybill dev`. */
export function devLines(system: Ready): string[] {
  const { publicUrl: url, telemetryUrl } = system;
  return toText([
    ...firstLines(system),
    ['send', `npx waybill send TYPE --data '{}'${toHttp(url)}`],
    ...(telemetryUrl ? [['trace', 'npx waybill trace --last']] : []),
    ['status', 'npx waybill status --watch'],
    ...brokerLine(system),
  ]);
}

function firstLines({ publicUrl: url, needsKey }: Ready): string[][] {
  const key = ['key', 'export WAYBILL_API_KEY=<a key of yours> for what is below'];
  return [['public', `${url}/`], ['docs', `${url}/docs`], ...(needsKey ? [key] : [])];
}

function brokerLine({ brokerUrl }: Ready): string[][] {
  return brokerUrl ? [['broker', `${brokerUrl} (embedded, in memory, for development only)`]] : [];
}

function toText(lines: string[][]): string[] {
  return ['ready', ...[...lines, ['stop', 'Ctrl-C']].map(([what, how]) => `  ${what?.padEnd(7)} ${how}`)];
}

function datasetCommand({ grpcAddress, brokerUrl }: Ready): string {
  const atOtherPort = toGrpc(grpcAddress);
  // A broker of the user's is not named: its URL may hold a password.
  if (!brokerUrl) return `AMQP_URL=<as here> node bin/dataset-client.mjs${atOtherPort}`;
  const atOtherBroker = brokerUrl.endsWith(':5672') ? '' : ` --amqp ${brokerUrl}`;
  return `node bin/dataset-client.mjs${atOtherPort}${atOtherBroker}`;
}

function streamCommand({ grpcAddress }: Ready): string {
  return `node bin/stream-client.mjs${toGrpc(grpcAddress)}`;
}

/** The option by which curl trusts whom Node does besides: by itself it knows of no variable of Node's. */
function trustOf(url: string): string {
  const { NODE_EXTRA_CA_CERTS: file } = process.env;
  return file && url.startsWith('https:') ? `--cacert '${file.replaceAll("'", "'\\''")}' ` : '';
}

/** The option by which programs find the public port, where it is not where they look. */
function toHttp(url: string): string {
  return url === 'http://localhost:8080' ? '' : ` --url ${url}/`;
}

/** The same of the gRPC port. */
function toGrpc(address: string): string {
  return address === 'localhost:50051' ? '' : ` --url ${address}`;
}

function tcpCommand(address: string): string {
  const [, port] = address.split(':');
  return `node bin/tcp-client.mjs${port === '9000' ? '' : ` --port ${port}`}`;
}
