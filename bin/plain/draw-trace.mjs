/** Draws a trace as text. Pure: the same trace, width and colours give the same text. */

/** @typedef {import('./fetch-trace.mjs').Span} Span */
/** @typedef {import('./fetch-trace.mjs').LogLine} LogLine */

/** A span or a log line in its place; `guides` are the lines of the tree before it. */
/** @typedef {{ guides: string } & ({ span: Span, log?: undefined } | { log: LogLine, span?: undefined })} Row */

/** ANSI foreground colours, one per service in the order of appearance: cyan, magenta, green, yellow, blue. */
const COLOURS = [36, 35, 32, 33, 34];
const RED = 31;
const DIM = 2;
const BLOCKS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const DURATION_WIDTH = 10;
const MIN_BAR_WIDTH = 10;

/**
 * One row per span, children under their parents in the order of their start: service, name, a bar to scale, duration.
 * Log lines stand under their spans with the time since the start of the trace; those of no span at the end.
 * No line is wider than `columns` (at least 60).
 *
 * @param {object} options
 * @param {string} options.traceId
 * @param {Span[]} options.spans at least one
 * @param {LogLine[]} options.logs
 * @param {number} options.columns
 * @param {boolean} options.hasColour
 */
export function drawTrace({ traceId, spans, logs, columns, hasColour }) {
  const rows = arrange(spans, logs);
  const services = [...new Set(rows.map(({ span, log }) => clean((span ?? log).service)))];
  const layout = measure(rows, services, Math.max(60, columns));
  const scale = measureTime(spans);
  /** @type {(code: number, text: string) => string} */
  const paint = (code, text) => (hasColour && text ? `\x1b[${code}m${text}\x1b[0m` : text);
  /** @param {string} service */
  const colourOf = (service) => COLOURS[services.indexOf(clean(service)) % COLOURS.length] ?? 0;
  const tools = { layout, scale, paint, colourOf };
  return [
    heading({ traceId, spans, services, scale }),
    '',
    ...rows.map(({ guides, span, log }) =>
      span ? spanRow(span, guides, tools) : logRow(log, guides, tools),
    ),
  ].join('\n');
}

/**
 * The tree as rows. A span whose parent is not there starts a tree of its own.
 * @param {Span[]} spans
 * @param {LogLine[]} logs
 */
function arrange(spans, logs) {
  const byStart = [...spans].sort((a, b) => Number(a.startNs - b.startNs));
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const children = groupBy(byStart, ({ parentSpanId }) => parentSpanId);
  const logsOf = groupBy(logs, ({ spanId }) => spanId);
  /** @type {Row[]} */
  const rows = [];
  /** @type {Set<Span>} */
  const drawn = new Set();

  /** @type {(span: Span, before: string, branch: string, below: string) => void} */
  function add(span, before, branch, below) {
    if (drawn.has(span)) return;
    drawn.add(span);
    rows.push({ guides: before + branch, span });
    const inner = before + below;
    const kids = (children.get(span.spanId) ?? []).filter((child) => child !== span);
    for (const log of logsOf.get(span.spanId) ?? []) {
      rows.push({ guides: `${inner}${kids.length > 0 ? '│ ' : '  '}`, log });
    }
    kids.forEach((child, index) => {
      const isLast = index === kids.length - 1;
      add(child, inner, isLast ? '└ ' : '├ ', isLast ? '  ' : '│ ');
    });
  }

  for (const span of byStart) if (!ids.has(span.parentSpanId)) add(span, '', '', '');
  for (const span of byStart) add(span, '', '', ''); // only what names itself as its own ancestor is left
  for (const log of logs) if (!ids.has(log.spanId)) rows.push({ guides: '', log });
  return rows;
}

/**
 * @template T
 * @param {T[]} items
 * @param {(item: T) => string} key
 */
function groupBy(items, key) {
  /** @type {Map<string, T[]>} */
  const groups = new Map();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** @typedef {{ service: number, name: number, bar: number }} Layout widths of the columns */

/**
 * @param {Row[]} rows
 * @param {string[]} services
 * @param {number} columns
 * @returns {Layout}
 */
function measure(rows, services, columns) {
  const service = Math.min(20, Math.max(...services.map((name) => name.length)));
  const names = rows.map(({ guides, span }) => (span ? guides.length + labelOf(span).length : 0));
  const room = columns - service - DURATION_WIDTH - 4;
  const name = Math.min(
    names.reduce((most, width) => Math.max(most, width), 0),
    room - MIN_BAR_WIDTH,
  );
  return { service, name, bar: room - name };
}

/** @typedef {{ startNs: bigint, totalMs: number }} Scale */

/**
 * @param {Span[]} spans
 * @returns {Scale}
 */
function measureTime(spans) {
  const startNs = spans.map((span) => span.startNs).sort((a, b) => Number(a - b))[0] ?? 0n;
  const totalMs = spans.reduce((most, { endNs }) => Math.max(most, toMs(endNs - startNs)), 0);
  return { startNs, totalMs };
}

/** @param {bigint} ns */
function toMs(ns) {
  return Number(ns) / 1e6;
}

/** @param {{ traceId: string, spans: Span[], services: string[], scale: Scale }} trace */
function heading({ traceId, spans, services, scale }) {
  const parts = [
    `trace ${traceId}`,
    plural(spans.length, 'span'),
    plural(services.length, 'service'),
    formatMs(scale.totalMs),
  ];
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const missing = new Set(spans.map(({ parentSpanId }) => parentSpanId).filter((id) => id && !ids.has(id)));
  if (missing.size > 0) parts.push(`${missing.size} missing`);
  return parts.join(' · ');
}

/**
 * @param {number} count
 * @param {string} noun
 */
function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/**
 * @typedef {object} Tools
 * @property {Layout} layout
 * @property {Scale} scale
 * @property {(code: number, text: string) => string} paint
 * @property {(service: string) => number} colourOf
 */

/** @type {(span: Span, guides: string, tools: Tools) => string} */
function spanRow(span, guides, { layout, scale, paint, colourOf }) {
  const colour = colourOf(span.service);
  const isError = span.error !== undefined;
  const name = fit(guides + labelOf(span), layout.name);
  const durationMs = toMs(span.endNs - span.startNs);
  const bar = drawBar({
    ...scale,
    fromMs: toMs(span.startNs - scale.startNs),
    durationMs,
    width: layout.bar,
  });
  return [
    paint(colour, fit(clean(span.service), layout.service)),
    isError ? paint(RED, name) : paint(DIM, name.slice(0, guides.length)) + name.slice(guides.length),
    paint(isError ? RED : colour, bar),
    formatMs(durationMs).padStart(DURATION_WIDTH),
  ].join(' ');
}

/** @param {Span} span */
function labelOf({ name, error }) {
  return clean(error === undefined ? name : `${name} ✗ ${error}`).trimEnd();
}

/** @type {(log: LogLine, guides: string, tools: Tools) => string} */
function logRow(log, guides, { layout, scale, paint, colourOf }) {
  const width = layout.name + layout.bar + 1;
  const text = fit(`${guides}· ${clean(`${log.severity} ${log.text}`.trim())}`, width);
  const isBad = /^(warn|error|fatal)/i.test(log.severity);
  return [
    paint(colourOf(log.service), fit(clean(log.service), layout.service)),
    paint(isBad ? RED : DIM, text),
    paint(DIM, formatOffset(toMs(log.timeNs - scale.startNs)).padStart(DURATION_WIDTH)),
  ].join(' ');
}

/**
 * Its length is exact to the eighth of a cell, its start to the cell. A span that is too short to be seen is seen.
 * @param {{ fromMs: number, durationMs: number, totalMs: number, width: number }} options
 */
function drawBar({ fromMs, durationMs, totalMs, width }) {
  const cellsPerMs = totalMs > 0 ? width / totalMs : 0;
  const from = Math.min(width - 1, Math.floor(fromMs * cellsPerMs));
  const length = Math.min(width - from, durationMs * cellsPerMs);
  const eighths = Math.max(1, Math.round(length * 8));
  const cells = '█'.repeat(Math.floor(eighths / 8)) + BLOCKS[eighths % 8];
  return (' '.repeat(from) + cells).padEnd(width);
}

/** Negative where clocks differ, and because log lines carry whole milliseconds. @param {number} ms */
function formatOffset(ms) {
  return ms < 0 ? `-${formatMs(-ms)}` : `+${formatMs(ms)}`;
}

/** A duration for people. @param {number} ms */
export function formatMs(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 0.1 ? `${Math.round(ms * 1000)} µs` : `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
}

/**
 * @param {string} text
 * @param {number} width
 */
function fit(text, width) {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
}

/** Names and log lines may hold what a client sent: nothing of it may steer the terminal. @param {string} text */
export function clean(text) {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}
