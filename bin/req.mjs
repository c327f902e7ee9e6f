#!/usr/bin/env node
/**
 * Sends a request to a running Waybill, and prints the answer, how long it took and where to see its trace.
 * Plain JavaScript without dependencies: it runs on any Node from 20 up, on any machine.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { printable } from './plain/printable.mjs';
import { programName } from './plain/program-name.mjs';

const usage = `usage: ${programName('req.mjs')} [TYPE] [options]

  TYPE, --type <type>  the event's type (default PingRequest)
  --url <url>          where to send it (default http://localhost:8080/)
  --data <json>        the event's data, sent as it is (default none; of a PingRequest, when it is sent)
  --count <n>          send this many and print a summary (default 1)
  --concurrency <n>    of those, this many at once (default 1)
  --timeout-ms <n>     give up on an answer after this long (default 35000)
  --help               print this

WAYBILL_API_KEY is sent as the API key, where one is needed.`;

/** What the user can mend or must know; shown as one line. */
class RequestError extends Error {
  /**
   * @param {string} kind what failures are counted by: a status, or the name of an error
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

try {
  const options = readOptions();
  if (options.help) console.log(usage);
  else if (options.count === 1) await sendOne(options);
  else await sendMany(options);
} catch (error) {
  console.error(error instanceof RequestError ? printable(error.message) : error);
  process.exitCode = 1;
}

/** @typedef {ReturnType<typeof readOptions>} Options */

function readOptions() {
  const { values, positionals } = parse();
  const { url, type, data, help, ...numbers } = values;
  const [named, ...rest] = positionals;
  if (rest.length > 0 || (named !== undefined && type !== undefined))
    throw new RequestError(
      'usage',
      `give one type and not ${[type, ...positionals].filter(Boolean).join(', ')}`,
    );
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new RequestError('usage', `--url must be an http:// or https:// URL and is ${url}`);
  }
  return {
    url,
    type: named ?? type ?? 'PingRequest',
    help,
    data: data === undefined ? undefined : parseData(data),
    count: positive('count', numbers.count),
    concurrency: positive('concurrency', numbers.concurrency),
    timeoutMs: positive('timeout-ms', numbers['timeout-ms']),
  };
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        url: { type: 'string', default: 'http://localhost:8080/' },
        type: { type: 'string' },
        data: { type: 'string' },
        count: { type: 'string', default: '1' },
        concurrency: { type: 'string', default: '1' },
        'timeout-ms': { type: 'string', default: '35000' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new RequestError('usage', `${/** @type {Error} */ (error).message.split('. ')[0]}; see --help`);
  }
}

/** @param {string} text */
function parseData(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestError('usage', `--data must be JSON and is ${text}`);
  }
}

/**
 * @param {string} name
 * @param {string} text
 */
function positive(name, text) {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new RequestError('usage', `--${name} must be a whole number from 1 up and is ${text}`);
}

/** @param {Options} options */
async function sendOne(options) {
  const { event, roundtripMs, traceId } = await send(options);
  console.log(
    event ? printable(JSON.stringify(event, null, 2)) : 'handled, and answered without content (204)',
  );
  const { sentAt, receivedAt } = event?.data ?? {};
  if (Number.isFinite(receivedAt - sentAt)) console.log(`Response received at ${receivedAt - sentAt} ms`);
  console.log(`Roundtrip time ${roundtripMs.toFixed(1)} ms`);
  console.log(`trace id: ${traceId ?? 'none (telemetry is off)'}`);
}

/** @param {Options} options */
async function sendMany(options) {
  /** @type {number[]} */
  const latenciesMs = [];
  /** @type {Map<string, number>} */
  const failures = new Map();
  let firstFailure = '';
  let left = options.count;

  async function worker() {
    while (left-- > 0) {
      try {
        latenciesMs.push((await send(options)).roundtripMs);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        failures.set(error.kind, (failures.get(error.kind) ?? 0) + 1);
        firstFailure ||= error.message;
      }
    }
  }

  const startedAt = performance.now();
  await Promise.all(Array.from({ length: Math.min(options.concurrency, options.count) }, worker));
  printSummary({ latenciesMs, failures, seconds: (performance.now() - startedAt) / 1000 });
  if (failures.size > 0) throw new RequestError('failed', `the first failure: ${firstFailure}`);
}

/** @param {{ latenciesMs: number[], failures: Map<string, number>, seconds: number }} results */
function printSummary({ latenciesMs, failures, seconds }) {
  latenciesMs.sort((a, b) => a - b);
  /** @param {number} share */
  const at = (share) => latenciesMs[Math.ceil(share * latenciesMs.length) - 1]?.toFixed(1) ?? '-';
  const failed = [...failures].map(([kind, count]) => `${count} × ${kind}`).join(', ') || '0';
  console.log(`ok      ${latenciesMs.length}`);
  console.log(`failed  ${failed}`);
  console.log(`latency p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${at(1)} ms`);
  console.log(`rate    ${(latenciesMs.length / seconds).toFixed(1)} ok/s over ${seconds.toFixed(1)} s`);
}

/**
 * Sends one event and resolves with its answer, undefined where the listener has nothing to say. Throws a RequestError for every
 * outcome but these.
 * @param {Options} options
 */
async function send({ url, type, data, timeoutMs }) {
  const isPing = data === undefined && type === 'PingRequest';
  const body = JSON.stringify({ id: randomUUID(), type, data: isPing ? { sentAt: Date.now() } : data });
  const startedAt = performance.now();
  const { response, text } = await post({ url, body, timeoutMs });
  const roundtripMs = performance.now() - startedAt;
  const answer = parseAnswer(text);
  if (!response.ok) throw new RequestError(String(response.status), describeProblem(response, answer));
  if (answer === undefined && response.status !== 204)
    throw new RequestError('not JSON', `${url} answered ${response.status} without JSON`);
  return { event: answer, roundtripMs, traceId: traceIdOf(response.headers) };
}

/** @param {Headers} headers */
function traceIdOf(headers) {
  return headers.get('traceresponse')?.split('-')[1];
}

/** @param {{ url: string, body: string, timeoutMs: number }} request */
async function post({ url, body, timeoutMs }) {
  const { WAYBILL_API_KEY: key } = process.env;
  const headers = { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) };
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, { method: 'POST', headers, body, signal });
    return { response, text: await response.text() };
  } catch (error) {
    const { name, cause, message } = /** @type {Error & { cause?: any }} */ (error);
    if (name === 'TimeoutError')
      throw new RequestError('timeout', `no answer from ${url} within ${timeoutMs} ms`);
    const code = cause?.code ?? 'network error';
    if (code === 'ECONNREFUSED')
      throw new RequestError(code, `nothing listens at ${url}: is Waybill running?`);
    throw new RequestError(code, `the request to ${url} failed: ${cause?.message || code || message}`);
  }
}

/** @param {string} text */
function parseAnswer(text) {
  try {
    const answer = JSON.parse(text);
    return typeof answer === 'object' && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {Response} response
 * @param {{ title?: string, detail?: string, code?: string, errors?: { pointer: string, detail: string }[] } | undefined} problem
 */
function describeProblem({ status, statusText, headers }, problem) {
  const title = problem?.title ?? statusText;
  const hint = status === 401 ? `; ${describeKey()}` : '';
  const detail = problem?.detail ? `: ${problem.detail}` : '';
  const code = problem?.code ? ` (${problem.code})` : '';
  const errors = [problem?.errors ?? []].flat().map((error) => `; ${error.pointer} ${error.detail}`);
  const traceId = traceIdOf(headers);
  return `${status} ${title}${detail}${errors.join('')}${code}${traceId ? `, trace id ${traceId}` : ''}${hint}`;
}

/** What to do about a 401. */
function describeKey() {
  const key = process.env.WAYBILL_API_KEY;
  return key ? 'WAYBILL_API_KEY is not a right key' : 'set WAYBILL_API_KEY to your API key';
}
