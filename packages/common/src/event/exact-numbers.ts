/**
 * JSON numbers that no double holds, such as integers beyond 2^53: a tier that only forwards an event passes their
 * digits on as they came. Each becomes a `JSON.rawJSON` object, which `JSON.stringify` writes as it was.
 *
 * Not by a reviver, which gives the text of every number: 256 kB took 359 ms with it, and 8 to 17 ms as below.
 */
import { randomUUID } from 'node:crypto';

declare global {
  interface JSON {
    /** An object that `JSON.stringify` writes as `text`, the JSON of a primitive. */
    rawJSON(text: string): object;
    /** Whether it is such an object. */
    isRawJSON(value: unknown): boolean;
  }
}

/** Only these can be more than a double holds, for it holds 15 digits. One that is part of a string does no harm. */
const DOUBTFUL = /[:,[\s]-?(?:\d[\d.]{15}|\d[\d.]*[eE])/;
const STARTS_WITH_NUMBER = /^-?\d/;
const STRING_OR_LONG_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]{3,}/g;
const SAFE_LENGTH = 15;
/** Far from where doubles have fewer digits. */
const SAFE_MIN = 1e-290;

/** Whether {@link keepNumbers} may find something. */
export function mayHaveInexactNumbers(json: string): boolean {
  return DOUBTFUL.test(json) || STARTS_WITH_NUMBER.test(json);
}

/** Parses `json`, which must be well-formed and not deep, with the numbers that no double holds as they stand there. */
export function keepNumbers(json: string): { value: unknown; kept: number } {
  const numbers: string[] = [];
  const mark = randomUUID();
  const marked = json.replace(STRING_OR_LONG_NUMBER, (found) =>
    found.startsWith('"') || isExact(found) ? found : `"${mark}${numbers.push(found) - 1}"`,
  );
  const value: unknown = JSON.parse(marked);
  return { value: numbers.length > 0 ? restore(value, mark, numbers) : value, kept: numbers.length };
}

function isExact(number: string): boolean {
  const value = Number(number);
  if (number.length <= SAFE_LENGTH && Math.abs(value) > SAFE_MIN) return true;
  const written = String(value);
  return written === number || significantDigits(written) === significantDigits(number);
}

function significantDigits(number: string): string {
  const digits = number
    .replace(/[eE].*/, '')
    .replace(/[-.]/g, '')
    .replace(/^0+/, '');
  let { length } = digits;
  while (digits[length - 1] === '0') length--;
  return digits.slice(0, length);
}

function restore(value: unknown, mark: string, numbers: readonly string[]): unknown {
  if (typeof value === 'string' && value.startsWith(mark))
    return JSON.rawJSON(numbers[Number(value.slice(mark.length))] as string);
  if (Array.isArray(value)) return value.map((item) => restore(item, mark, numbers));
  if (typeof value !== 'object' || value === null) return value;
  const members = value as Record<string, unknown>;
  for (const name of Object.keys(members)) members[name] = restore(members[name], mark, numbers);
  return members;
}
