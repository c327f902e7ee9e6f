#!/usr/bin/env node
/**
 * Finds traces of events, and draws one in the terminal: its spans as a waterfall, with the log lines under them.
 * Plain JavaScript without dependencies: it runs on any Node from 20 up.
 */
import { parseArgs } from 'node:util';
import { drawTrace } from './plain/draw-trace.mjs';
import { fetchLogs, fetchTrace } from './plain/fetch-trace.mjs';
import { listTraces } from './plain/list-traces.mjs';
import { programName } from './plain/program-name.mjs';
import { toDurationMs, toPastMs } from './plain/read-time.mjs';
import { findRunningSystems } from './plain/running-systems.mjs';
import { searchTraces } from './plain/search-traces.mjs';
import { runProgram, toNumber, UserError } from './plain/user-error.mjs';

const usage = `usage: ${programName('trace.mjs')} <trace id> [options]
       ${programName('trace.mjs')} --last | --event <id> | --failed | --slow <duration> | --since <time> [options]

Draws the trace of an id, or the one that is found. Several are listed, the latest first. All that is asked for must hold.

  --last             draws the latest of what is found: the last event of all, or the last that failed, …
  --event <id>       of the event with this id
  --failed           a step failed, be it an attempt that a later one made good
  --slow <duration>  took longer, such as 250ms or 1.5s
  --since <time>     began at or after a time of day (10:40), a whole time (2026-11-28T10:40:00Z), or 15m ago (default 24h)
  --limit <n>        list no more than this many (default 20)

  --tempo-url <url>  where the spans are (default: the collector of the npm start that runs on this machine, or
                     http://localhost:4318)
  --loki-url <url>   where the log lines are (default: the same as --tempo-url)
  --wait-ms <n>      how long spans may still be on their way (default 2000, with --tempo-url 8000)
  --help             print this

Colours: none if the output is no terminal or NO_COLOR is set; FORCE_COLOR=1 keeps them.`;

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  if (options.traceId !== undefined) return draw(options, options.traceId);
  const found = await search(options);
  const [last, ...others] = found;
  if (last === undefined) throw new UserError(`no such trace at ${options.tempoUrl}`);
  if (others.length === 0 || options.isLast) return draw(options, last.traceId);
  console.log(listTraces(found));
});

/** @typedef {ReturnType<typeof readOptions>} Options */

/**
 * What was sent a moment ago may be on its way still; whoever asks for the last one, or for one by its id, means that.
 *
 * @param {Options} options
 */
async function search({ tempoUrl, filters, limit, isLast, waitMs }) {
  if (isLast && filters.eventId === undefined) await new Promise((resolve) => setTimeout(resolve, waitMs));
  return searchTraces({ tempoUrl, filters, limit, waitMs: filters.eventId === undefined ? 0 : waitMs });
}

/**
 * @param {Options} options
 * @param {string} traceId
 */
async function draw(options, traceId) {
  const spans = await fetchTrace({ ...options, traceId });
  if (spans.length === 0) {
    throw new UserError(`no trace ${traceId} at ${options.tempoUrl} (waited ${options.waitMs} ms)`);
  }
  const { logs, problem } = await fetchLogs({ ...options, traceId, spans }).then(
    (lines) => ({ logs: lines, problem: undefined }),
    (error) => ({ logs: [], problem: error }),
  );
  console.log(drawTrace({ ...options, traceId, spans, logs }));
  if (problem) throw problem; // the spans alone are worth seeing
}

function readOptions() {
  const { values, positionals } = parse();
  const isOwnCollector = values['tempo-url'] === undefined;
  const tempoUrl = toUrl('tempo-url', values['tempo-url'] ?? collectorUrl());
  const { last, event, failed, slow, since } = values;
  const isSearch = last || failed || [event, slow, since].some((value) => value !== undefined);
  return {
    help: values.help,
    traceId: values.help || isSearch ? noTraceId(positionals, values.help) : toTraceId(positionals),
    isLast: last,
    filters: {
      eventId: event,
      isFailed: failed,
      slowerThanMs: slow === undefined ? undefined : toDurationMs('slow', slow),
      sinceMs: toPastMs('since', since ?? '24h'),
    },
    limit: last ? 1 : toNumber('limit', values.limit),
    tempoUrl,
    lokiUrl: toUrl('loki-url', values['loki-url'] ?? tempoUrl),
    waitMs: toMs(values['wait-ms'] ?? (isOwnCollector ? '2000' : '8000')),
    columns: process.stdout.columns || 110,
    hasColour: hasColour(process.env),
  };
}

function collectorUrl() {
  return (
    findRunningSystems().find(({ telemetryUrl }) => telemetryUrl)?.telemetryUrl ?? 'http://localhost:4318'
  );
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        last: { type: 'boolean', default: false },
        event: { type: 'string' },
        failed: { type: 'boolean', default: false },
        slow: { type: 'string' },
        since: { type: 'string' },
        limit: { type: 'string', default: '20' },
        'tempo-url': { type: 'string' },
        'loki-url': { type: 'string' },
        'wait-ms': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UserError(`${/** @type {Error} */ (error).message.split('. ')[0]}; see --help`);
  }
}

/**
 * @param {string[]} positionals
 * @param {boolean} isHelp
 */
function noTraceId(positionals, isHelp) {
  if (positionals.length > 0 && !isHelp)
    throw new UserError('give a trace id, or what to look for; see --help');
  return undefined;
}

/** @param {string[]} positionals */
function toTraceId(positionals) {
  const [text = '', ...rest] = positionals;
  if (text === '' || rest.length > 0) throw new UserError('give one trace id; see --help');
  // Tempo's search leaves leading zeros out.
  const traceId = text.toLowerCase().padStart(32, '0');
  if (/^[0-9a-f]{16,32}$/i.test(text) && /[^0]/.test(text)) return traceId;
  throw new UserError(`a trace id is 32 hex digits (leading zeros may be missing), and not ${text}`);
}

/**
 * @param {string} name
 * @param {string} text
 */
function toUrl(name, text) {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text.replace(/\/+$/, '');
  throw new UserError(`--${name} must be an http:// or https:// URL and is ${text}`);
}

/** @param {string} text */
function toMs(text) {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new UserError(`--wait-ms must be a whole number and is ${text}`);
}

/** @param {NodeJS.ProcessEnv} env */
function hasColour({ NO_COLOR, FORCE_COLOR }) {
  if (NO_COLOR) return false;
  return FORCE_COLOR ? FORCE_COLOR !== '0' : Boolean(process.stdout.isTTY);
}
