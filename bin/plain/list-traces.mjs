import { clean, formatMs } from './draw-trace.mjs';

/** @typedef {import('./search-traces.mjs').FoundTrace} FoundTrace */

/**
 * Traces as text, one line each, in the order given: when it began (local time), how long it took, its id, the type of
 * an event, its first span, and a mark if a step of it failed.
 *
 * @param {readonly FoundTrace[]} traces
 */
export function listTraces(traces) {
  const rows = traces.map(({ startMs, durationMs, traceId, eventType, name, isFailed }) => [
    localTime(new Date(startMs)),
    formatMs(durationMs).padStart(10),
    traceId,
    clean(eventType),
    `${clean(name)}${isFailed ? ' ✗' : ''}`,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

/** @param {Date} date */
function localTime(date) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
