import { isUtf8 } from 'node:buffer';
import { AppError } from '../errors.ts';
import { keepNumbers, mayHaveInexactNumbers } from './exact-numbers.ts';

/** Deepest nesting accepted from outside. Deeper bodies overflow the stack of the tier that serialises them again. */
export const MAX_JSON_DEPTH = 32;
/** Deepest nesting between tiers: what the edge accepted stands deeper in an event, its batch, and a handler's reply. */
export const MAX_INTERNAL_JSON_DEPTH = 2 * MAX_JSON_DEPTH;
/** Most numbers that no double holds in a body from outside: keeping one was measured to take 3 µs. */
export const MAX_KEPT_NUMBERS = 1024;

export type ParseJsonOptions = {
  /** Deepest nesting accepted (default {@link MAX_JSON_DEPTH}). */
  maxDepth?: number;
  /**
   * For a tier that forwards what is parsed: up to this many numbers that no double holds, such as integers beyond 2^53,
   * become `JSON.rawJSON` objects, which `JSON.stringify` writes with the digits they came with. Default: all are
   * rounded, as `JSON.parse` does.
   */
  maxKeptNumbers?: number;
};

/**
 * Parses JSON that comes from outside the process.
 *
 * @throws AppError `invalid-request` naming the fault: invalid UTF-8, malformed JSON, a number beyond the range of
 * doubles (`1e400`), nesting deeper than `maxDepth`, a member named `__proto__` or `constructor` (prototype pollution),
 * or more numbers to be kept than `maxKeptNumbers`.
 */
export function parseJson(body: Buffer, options: ParseJsonOptions = {}): unknown {
  return parseJsonText(toText(body), options);
}

/** The text of a body; @throws AppError `invalid-request` when it is not UTF-8. */
export function toText(body: Buffer): string {
  if (!isUtf8(body)) throw new AppError('invalid-request', 'the body is not valid UTF-8');
  return body.toString('utf8');
}

/** As {@link parseJson}, of a body that is text by now. */
export function parseJsonText(
  text: string,
  { maxDepth = MAX_JSON_DEPTH, maxKeptNumbers }: ParseJsonOptions = {},
): unknown {
  const parsed = parse(text);
  assertSafe(parsed, maxDepth, 1);
  if (maxKeptNumbers === undefined || !mayHaveInexactNumbers(text)) return parsed;
  const { value, kept } = keepNumbers(text);
  if (kept > maxKeptNumbers)
    throw new AppError(
      'invalid-request',
      `the JSON has more than ${maxKeptNumbers} numbers that no double holds`,
    );
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid-request', 'the body is not valid JSON', { cause });
  }
}

function assertSafe(value: unknown, maxDepth: number, depth: number): void {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new AppError('invalid-request', 'the JSON has a number beyond the range of doubles');
  if (typeof value !== 'object' || value === null) return;
  if (depth > maxDepth)
    throw new AppError('invalid-request', `the JSON is nested deeper than ${maxDepth} levels`);
  if (Array.isArray(value)) {
    for (const item of value) assertSafe(item, maxDepth, depth + 1);
    return;
  }
  for (const name in value) {
    assertMemberName(name);
    assertSafe((value as Record<string, unknown>)[name], maxDepth, depth + 1);
  }
}

/** @throws AppError `invalid-request` for a name by which an object that is merged would change its prototype. */
export function assertMemberName(name: string): void {
  if (name === '__proto__' || name === 'constructor')
    throw new AppError('invalid-request', `the JSON has a member named ${name}, which is not accepted`);
}
