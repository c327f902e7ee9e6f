import { UserError } from './user-error.mjs';

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * The value of an option that is a duration: a number and its unit (`250ms`, `1.5s`, `10m`, `2h`, `1d`), in milliseconds.
 *
 * @param {string} name without its dashes
 * @param {string} text
 */
export function toDurationMs(name, text) {
  const ms = parseDuration(text);
  if (ms === undefined)
    throw new UserError(`--${name} must be a duration, such as 250ms or 1.5s, and is ${text}`);
  return ms;
}

/**
 * The value of an option that is a time in the past: a time of day of the last 24 hours (`10:40`, `10:40:30`; local
 * time), how long ago (`15m`), or a whole time (`2026-11-28T10:40:00Z`). In milliseconds since the epoch.
 *
 * @param {string} name without its dashes
 * @param {string} text
 * @param {number} [nowMs]
 */
export function toPastMs(name, text, nowMs = Date.now()) {
  const ago = parseDuration(text);
  const ms = ago === undefined ? (parseTimeOfDay(text, nowMs) ?? parseTime(text)) : nowMs - ago;
  if (ms === undefined)
    throw new UserError(
      `--${name} must be a time, such as 10:40, 15m (ago) or 2026-11-28T10:40:00Z, and is ${text}`,
    );
  return ms;
}

/** @param {string} text */
function parseDuration(text) {
  const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(number) * UNITS[/** @type {keyof typeof UNITS} */ (unit)];
}

/**
 * @param {string} text
 * @param {number} nowMs
 */
function parseTimeOfDay(text, nowMs) {
  const [, hours, minutes, seconds = '0'] = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(text) ?? [];
  if (minutes === undefined) return undefined;
  const date = new Date(nowMs);
  date.setHours(Number(hours), Number(minutes), Number(seconds), 0);
  if (date.getTime() > nowMs) date.setDate(date.getDate() - 1);
  return date.getTime();
}

/** @param {string} text */
function parseTime(text) {
  const ms = /^\d{4}-\d\d-\d\d(?:[T ]|$)/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
