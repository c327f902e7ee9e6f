import { isUtf8 } from 'node:buffer';
import { AppError } from './errors.ts';

/** Deepest nesting accepted from outside. Deeper bodies overflow the stack of whoever serialises them again. */
export const MAX_JSON_DEPTH = 32;
/** Deepest nesting between tiers: what the edge accepted stands deeper in an event, its batch, and a handler's reply. */
export const MAX_INTERNAL_JSON_DEPTH = 2 * MAX_JSON_DEPTH;

/**
 * Parses JSON that comes from outside the process.
 *
 * @throws AppError `invalid-request` naming the fault: invalid UTF-8, malformed JSON, nesting deeper than
 * `maxDepth` (default {@link MAX_JSON_DEPTH}), or a member named `__proto__` or `constructor` (prototype pollution).
 */
export function parseJson(body: Buffer, { maxDepth = MAX_JSON_DEPTH }: { maxDepth?: number } = {}): unknown {
  if (!isUtf8(body)) throw new AppError('invalid-request', 'the body is not valid UTF-8');
  const value = parse(body.toString('utf8'));
  assertSafe(value, maxDepth, 1);
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
  if (typeof value !== 'object' || value === null) return;
  if (depth > maxDepth)
    throw new AppError('invalid-request', `the JSON is nested deeper than ${maxDepth} levels`);
  if (Array.isArray(value)) {
    for (const item of value) assertSafe(item, maxDepth, depth + 1);
    return;
  }
  for (const key of Object.keys(value)) {
    if (key === '__proto__' || key === 'constructor')
      throw new AppError('invalid-request', `the JSON has a member named ${key}, which is not accepted`);
    assertSafe((value as Record<string, unknown>)[key], maxDepth, depth + 1);
  }
}
