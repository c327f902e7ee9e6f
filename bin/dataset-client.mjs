#!/usr/bin/env node
/**
 * A client that asks for its dataset, takes it from its own queue and holds it against what is promised. Runs on any
 * Node from 20 up, with the packages of `npm ci`.
 */
import { parseArgs } from 'node:util';
import { defaultBrokerUrl, toBroker } from './broker-connection.mjs';
import { openQueue } from './client-queue.mjs';
import { notifyByGrpc, notifyByHttp } from './notify-client.mjs';
import { printable } from './printable.mjs';
import { createProgress } from './progress.mjs';
import { receiveStream } from './receive-stream.mjs';
import { interrupted, runProgram, toNumber, UserError } from './user-error.mjs';

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

/** @typedef {ReturnType<typeof readOptions>} Options */

/**
 * @param {import('./client-queue.mjs').ClientQueue} queue
 * @param {Options} options
 */
async function receive(queue, options) {
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

/** @param {Options} options */
async function notify({ url, http, client, queue, broker, address }) {
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

/**
 * @param {import('./receive-stream.mjs').ReceivedStream} stream
 * @param {string[]} summary
 */
function printStream({ streamId, traceId, repeated, others }, summary) {
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
  const broker = toClientBroker(values.amqp ?? defaultBrokerUrl(process.env));
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
    throw new UserError(`${/** @type {Error} */ (error).message.split('. ')[0]}; see --help`);
  }
}

/**
 * As Waybill will connect to it: to the default virtual host.
 *
 * @param {string} url
 */
function toClientBroker(url) {
  return { ...toBroker(url), vhost: '/' };
}

/** @param {string} text */
function toAddress(text) {
  const [, hostname, port] = /^(.+):([1-9]\d{0,4})$/.exec(text) ?? [];
  if (!hostname) throw new UserError(`--broker must be host:port and is ${text}`);
  return { hostname: withoutBrackets(hostname), port: Number(port) };
}

/** @param {string} hostname of IPv6, brackets belong to the URL only */
function withoutBrackets(hostname) {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

/** @param {string} text */
function toHttpUrl(text) {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UserError(`--http must be an http:// or https:// URL and is ${text}`);
}
