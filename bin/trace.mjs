#!/usr/bin/env node
/**
 * Draws one trace in the terminal: its spans as a waterfall, with the log lines under them.
 * Plain JavaScript without dependencies: it runs on any Node from 20 up.
 */
import { parseArgs } from 'node:util';
import { drawTrace } from './plain/draw-trace.mjs';
import { fetchLogs, fetchTrace } from './plain/fetch-trace.mjs';
import { runProgram, UserError } from './plain/user-error.mjs';

const usage = `usage: node bin/trace.mjs <trace id> [options]

  --tempo-url <url>  where the spans are (default http://localhost:4318, the collector of npm start)
  --loki-url <url>   where the log lines are (default: the same as --tempo-url)
  --wait-ms <n>      how long spans may still be on their way (default 2000, with --tempo-url 8000)
  --help             print this

Colours: none if the output is no terminal or NO_COLOR is set; FORCE_COLOR=1 keeps them.`;

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const spans = await fetchTrace(options);
  if (spans.length === 0) {
    throw new UserError(`no trace ${options.traceId} at ${options.tempoUrl} (waited ${options.waitMs} ms)`);
  }
  const { logs, problem } = await fetchLogs({ ...options, spans }).then(
    (lines) => ({ logs: lines, problem: undefined }),
    (error) => ({ logs: [], problem: error }),
  );
  console.log(drawTrace({ ...options, spans, logs }));
  if (problem) throw problem; // the spans alone are worth seeing
});

function readOptions() {
  const { values, positionals } = parse();
  const isOwnCollector = values['tempo-url'] === undefined;
  const tempoUrl = toUrl('tempo-url', values['tempo-url'] ?? 'http://localhost:4318');
  return {
    help: values.help,
    traceId: values.help ? '' : toTraceId(positionals),
    tempoUrl,
    lokiUrl: toUrl('loki-url', values['loki-url'] ?? tempoUrl),
    waitMs: toMs(values['wait-ms'] ?? (isOwnCollector ? '2000' : '8000')),
    columns: process.stdout.columns || 110,
    hasColour: hasColour(process.env),
  };
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
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
