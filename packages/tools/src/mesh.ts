/** The mesh from the command line: what a site is connected to, and calls over it. */
import { parseArgs } from 'node:util';
import { printable } from '../../../bin/plain/printable.mjs';
import { programName } from '../../../bin/plain/program-name.mjs';
import { runProgram, toNumber, UserError } from '../../../bin/plain/user-error.mjs';
import { drawConnections, drawMermaid, drawTopology } from './draw-mesh.ts';
import { apiKeyHeaders } from './grpc-connection.ts';
import { createMeshClient, type MeshClient } from './mesh-client.ts';
import { asDeclared, asString } from './mesh-data.ts';
import { newestOf, walkMesh } from './walk-mesh.ts';

const program = programName('mesh.mjs');
const usage = `usage: ${program} COMMAND [options]

  connect ADDRESS                has the site connect to the one at ADDRESS (host:port), and stay connected
  disconnect ID                  ends a connection for good
  list                           whom the site is connected to, or was; --all: every connection that it remembers
  call NAMESPACE SERVICE METHOD  calls a method, at whichever site serves it
  topology                       the whole mesh, as far as it can be seen from the site; --mermaid: as a Mermaid diagram

  --data <text>        the input of the call: a string (google.protobuf.StringValue), with --proto the fields as JSON
  --proto <file>       the .proto file that declares NAMESPACE.SERVICE and its METHOD
  --target <id>        the site that is to run the call
  --url <host:port>    the site's gRPC port (default localhost:50051); https://<host:port> if it speaks TLS
  --timeout <seconds>  give up after this long (default 30)
  --json               for programs
  --help               print this

WAYBILL_API_KEY is sent as the API key, where one is needed; all but call need one with "mesh": true. A site that asks for a
certificate (GRPC_CLIENT_CA) is shown that of WAYBILL_CERT_FILE and WAYBILL_KEY_FILE.`;

type Options = ReturnType<typeof readOptions>;
type Command = { takes: string[]; run(client: MeshClient, options: Options): Promise<number | undefined> };

const commands: Record<string, Command> = {
  connect: {
    takes: ['ADDRESS'],
    async run(client, { args: [address = ''], json }) {
      const connection = await client.connect(address);
      print(json, connection, () => drawConnections([connection]));
    },
  },
  disconnect: {
    takes: ['ID'],
    async run(client, { args: [id = ''], json }) {
      const connection = await client.disconnect(id);
      print(json, connection, () => drawConnections([connection]));
    },
  },
  list: {
    takes: [],
    async run(client, { json, all }) {
      const { connections } = await client.describe();
      const shown = all ? connections : newestOf(connections);
      print(json, shown, () => drawConnections(shown));
    },
  },
  call: { takes: ['NAMESPACE', 'SERVICE', 'METHOD'], run: call },
  topology: {
    takes: [],
    async run(client, { json, mermaid, open, url }) {
      // A key of this site is none of the others'.
      const isOpen = Object.keys(apiKeyHeaders()).length === 0 && !url.startsWith('https://');
      const sites = await walkMesh(client, isOpen ? open : undefined);
      print(json, sites, () => (mermaid ? drawMermaid(sites) : drawTopology(sites)));
    },
  },
};

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const { name } = options;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new UserError(`there is no command ${name}; see --help`);
  const { takes, run } = command;
  if (options.args.length !== takes.length)
    throw new UserError(`give ${[name, ...takes].join(' ')}; see --help`);
  const client = options.open(options.url);
  try {
    return await run(client, options);
  } finally {
    client.close();
  }
});

async function call(client: MeshClient, options: Options): Promise<number> {
  const { args, data, proto, target, json } = options;
  const [namespace = '', service = '', method = ''] = args;
  const text = proto === undefined ? asString : asDeclared(proto, `${namespace}.${service}`, method);
  const answer = await client.call({ namespace, service, method, input: text.toInput(data), target });
  const { code, message, details, output, handledBy, traceId } = answer;
  const outputText = output ? text.toText(output) : undefined;
  print(json, { code, message, details, handledBy, traceId, output: outputText }, () =>
    [
      `${code} ${message}${handledBy ? `, by ${handledBy}` : ''}`,
      ...Object.entries(details).map(([name, value]) => `${name}: ${value}`),
      ...(outputText === undefined ? [] : [outputText]),
      ...(traceId === undefined ? [] : [`trace id: ${traceId}`]),
    ].join('\n'),
  );
  return code === 200 ? 0 : 1;
}

function print(isJson: boolean, value: unknown, render: () => string): void {
  console.log(printable(isJson ? JSON.stringify(value, null, 2) : render()));
}

function readOptions() {
  const { values, positionals } = parse();
  const [name = '--help', ...args] = positionals;
  const { timeout, url, ...others } = values;
  const timeoutMs = 1000 * toNumber('timeout', timeout);
  const open = (address: string) => createMeshClient(address, { timeoutMs });
  return { ...others, help: others.help || name === '--help', name, args, url, open };
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        data: { type: 'string' },
        proto: { type: 'string' },
        target: { type: 'string' },
        url: { type: 'string', default: 'localhost:50051' },
        timeout: { type: 'string', default: '30' },
        all: { type: 'boolean', default: false },
        mermaid: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
