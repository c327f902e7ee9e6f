/**
 * A client that asks for its dataset, takes it from its own queue and holds it against what is promised.
 */
import { parseArgs } from 'node:util';
import { printable } from '../../../bin/plain/printable.mjs';
import { createProgress } from '../../../bin/plain/progress.mjs';
import { interrupted, runProgram, toNumber, UserError } from '../../../bin/plain/user-error.mjs';
import { toBroker } from './broker-connection.ts';
import { readBrokerUrl } from './broker-url.ts';
import { type ClientQueue, openQueue } from './client-queue.ts';
import { notifyByGrpc, notifyByHttp } from './notify-client.ts';
import { type ReceivedStream, receiveStream } from './receive-stream.ts';

const usage = `usage: node bin/dataset-client.mjs [options]

  --url <host:port>     public-web's gRPC port (default localhost:50051); https://<host:port> if it speaks TLS
  --http <url>          notify by POST <url>/clients instead, for example http://localhost:8080
  --client <name>       the client's id (default user123)
  --queue <name>        its queue (default <client>-data-queue); made if it is not there, and then deleted at the end
  --keep                do not delete it
  --amqp <url>          the client's broker, amqp(s)://user:password@host:port (default: AMQP_URL or
                        amqp://guest:guest@localhost:5672); in its default virtual host, as Waybill knows no other
  --broker <host:port>  how Waybill reaches that broker, if by another address
  --batches <n>         how many there must be; shows how much is still to come
  --timeout <seconds>   give up when nothing has come for this long (default 30)
  --help                print this`;

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const interruption = interrupted();
  const opening = openQueue(options);
  try {
    const queue = await Promise.race([opening, interruption]);
    await Promise.race([receive(queue, options), interruption]);
  } finally {
    // Whoever interrupts it leaves no queue behind either; what hinders the opening is told already.
    await opening.then(
      (queue) => queue.close(),
      () => {},
    );
  }
});

type Options = ReturnType<typeof readOptions>;

async function receive(queue: ClientQueue, options: Options) {
  const progress = createProgress({ total: options.batches });
  const received = receiveStream({
    ...options,
    queue,
    queueName: options.queue,
    notify: () => notify(options),
    onBatch: progress.add,
  });
  try {
    const stream = await received;
    progress.end();
    printStream(stream, progress.summary());
  } catch (error) {
    progress.end();
    throw error;
  }
}

async function notify({ url, http, client, queue, broker, address }: Options) {
  const newClient = {
    client_id: client,
    queue_name: queue,
    amqp_host: address.hostname,
    amqp_port: address.port,
    amqp_user: broker.username,
    amqp_pass: broker.password,
  };
  const accepted = await (http ? notifyByHttp(http, newClient) : notifyByGrpc(url, newClient));
  console.log(`notified ${http ?? url} of ${client}, queue ${queue}: ${printable(accepted.message)}`);
  return accepted;
}

function printStream({ streamId, traceId, repeated, others }: ReceivedStream, summary: string[]) {
  const strangers = [...others].map(([id, count]) => `${id} (${count})`);
  const lines = [
    `stream    ${streamId}`,
    ...summary,
    `repeated  ${repeated}${repeated ? ', each with the same bytes' : ''}`,
    ...(strangers.length > 0 ? [`others    messages of other streams: ${strangers.join(', ')}`] : []),
    `trace id: ${traceId ?? 'none (telemetry is off)'}`,
  ];
  console.log(printable(lines.join('\n')));
}

function readOptions() {
  const { client, queue = `${client}-data-queue`, help, keep, ...values } = parse();
  const broker = toClientBroker(values.amqp ?? readBrokerUrl(process.env));
  return {
    help,
    url: values.url,
    http: values.http === undefined ? undefined : toHttpUrl(values.http),
    client,
    queue,
    isKept: keep,
    broker,
    address: values.broker === undefined ? broker : toAddress(values.broker),
    batches: values.batches === undefined ? undefined : toNumber('batches', values.batches),
    timeoutMs: toNumber('timeout', values.timeout) * 1000,
  };
}

function parse() {
  try {
    return parseArgs({
      options: {
        url: { type: 'string', default: 'localhost:50051' },
        http: { type: 'string' },
        client: { type: 'string', default: 'user123' },
        queue: { type: 'string' },
        keep: { type: 'boolean', default: false },
        amqp: { type: 'string' },
        broker: { type: 'string' },
        batches: { type: 'string' },
        timeout: { type: 'string', default: '30' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}

/** As Waybill will connect to it: to the default virtual host. */
function toClientBroker(url: string) {
  return { ...toBroker(url), vhost: '/' };
}

function toAddress(text: string) {
  const [, hostname, port] = /^(.+):([1-9]\d{0,4})$/.exec(text) ?? [];
  if (!hostname) throw new UserError(`--broker must be host:port and is ${text}`);
  return { hostname: withoutBrackets(hostname), port: Number(port) };
}

/** @param hostname of IPv6, brackets belong to the URL only */
function withoutBrackets(hostname: string) {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function toHttpUrl(text: string) {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UserError(`--http must be an http:// or https:// URL and is ${text}`);
}
