#!/usr/bin/env node
/**
 * Reads a dataset from the TCP port of data-dispatch-listener, one JSON object per line, and holds it against what is
 * promised. Plain JavaScript without dependencies: it runs on any Node from 20 up, on any machine.
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createBatchChecker } from './plain/check-batches.mjs';
import { printable } from './plain/printable.mjs';
import { createProgress } from './plain/progress.mjs';
import { readLines } from './plain/read-lines.mjs';
import { interrupted, runProgram, toNumber, UserError } from './plain/user-error.mjs';

const usage = `usage: node bin/tcp-client.mjs [options]

  --host <host>        default localhost
  --port <port>        default 9000
  --delay-ms <n>       wait this long after each batch, to be a slow reader (default 0)
  --batches <n>        how many there must be; shows how much is still to come
  --timeout <seconds>  give up when nothing has come for this long (default 30)
  --help               print this`;

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const socket = connect({ host: options.host, port: options.port });
  try {
    await Promise.race([receive(socket, options), interrupted()]);
  } finally {
    socket.destroy();
  }
});

/** @typedef {ReturnType<typeof readOptions>} Options */

/**
 * @param {import('node:net').Socket} socket
 * @param {Options} options
 */
async function receive(socket, { host, port, batches, delayMs, timeoutMs }) {
  const progress = createProgress({ total: batches });
  const checker = createBatchChecker();
  let client = '';
  // While this waits on purpose, the socket is silent as well.
  socket.setTimeout(timeoutMs + delayMs, () =>
    socket.destroy(new UserError(`nothing came for ${timeoutMs / 1000} s after ${checker.count()} batches`)),
  );
  try {
    for await (const line of readLines(socket)) {
      const batch = readBatch(line);
      const { bytes, isRepeated } = checker.take(batch);
      if (isRepeated) throw new UserError(`batch ${batch.index} came twice`);
      if (client && batch.client !== client)
        throw new UserError(`batch ${batch.index} is for ${batch.client}, and the one before for ${client}`);
      client = batch.client;
      progress.add(bytes);
      if (delayMs > 0) await delay(delayMs);
    }
  } catch (error) {
    progress.end();
    throw explain(error, `${host}:${port}`);
  }
  progress.end();
  if (!checker.isComplete())
    throw new UserError(`${host}:${port} closed after ${checker.count()} batches, without a last one`);
  if (batches !== undefined && checker.count() !== batches)
    throw new UserError(
      `the last batch is ${checker.count() - 1}, so there are ${checker.count()} and not ${batches}`,
    );
  console.log(printable([`client    ${client}`, ...progress.summary()].join('\n')));
}

/** @param {string} line */
function readBatch(line) {
  const batch = parseLine(line);
  if (batch.error)
    throw new UserError(`the server gives up: ${batch.error.detail ?? batch.error.title ?? line}`);
  if (batch.batch_id !== batch.batch_index)
    throw new UserError(
      `a batch has batch_id ${batch.batch_id} and batch_index ${batch.batch_index}, which are not the same`,
    );
  if (!Array.isArray(batch.batch_data) || batch.batch_data.length !== 1)
    throw new UserError(`the batch_data of batch ${batch.batch_id} is no array of one text`);
  if (typeof batch.client_id !== 'string' || batch.client_id === '')
    throw new UserError(`batch ${batch.batch_id} has no client_id`);
  return { index: batch.batch_id, data: batch.batch_data[0], isLast: batch.EOF, client: batch.client_id };
}

/** @param {string} line */
function parseLine(line) {
  try {
    const value = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // told below
  }
  throw new UserError(`a line is not a JSON object: ${line.slice(0, 60)}`);
}

/**
 * @param {unknown} error
 * @param {string} where
 */
function explain(error, where) {
  if (error instanceof UserError) return error;
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  if (code === 'ECONNREFUSED') return new UserError(`nothing listens at ${where}: is Waybill running?`);
  return new UserError(`the connection to ${where} broke: ${message || code}`);
}

function readOptions() {
  const { host, port, help, batches, timeout, ...values } = parse();
  return {
    help,
    host,
    port: toNumber('port', port),
    batches: batches === undefined ? undefined : toNumber('batches', batches),
    delayMs: toNumber('delay-ms', values['delay-ms'], 0),
    timeoutMs: toNumber('timeout', timeout) * 1000,
  };
}

function parse() {
  try {
    return parseArgs({
      options: {
        host: { type: 'string', default: 'localhost' },
        port: { type: 'string', default: '9000' },
        'delay-ms': { type: 'string', default: '0' },
        batches: { type: 'string' },
        timeout: { type: 'string', default: '30' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UserError(`${/** @type {Error} */ (error).message.split('. ')[0]}; see --help`);
  }
}
