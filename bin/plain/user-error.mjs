import { printable } from './printable.mjs';

/** What the user can mend or must know: shown as its message alone, in one line, without a stack trace. */
export class UserError extends Error {}

/**
 * Runs a program: a UserError is printed as one line, any other error with its stack; either sets exit code 1.
 *
 * @param {() => Promise<number | void>} program resolves with the exit code, default 0
 */
export async function runProgram(program) {
  try {
    process.exitCode = (await program()) ?? 0;
  } catch (error) {
    // It may quote what a server, or a stranger, has said.
    console.error(error instanceof UserError ? printable(error.message) : error);
    process.exitCode = 1;
  }
}

/**
 * Rejects at the first signal that asks to stop.
 *
 * @returns {Promise<never>}
 */
export function interrupted() {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.on(signal, () => reject(new UserError('interrupted')));
  });
}

/**
 * The value of a numeric option.
 *
 * @param {string} name without its dashes
 * @param {string} text
 * @param {number} [min] default 1
 */
export function toNumber(name, text, min = 1) {
  if (/^\d{1,6}$/.test(text) && Number(text) >= min) return Number(text);
  throw new UserError(`--${name} must be a whole number from ${min} up and is ${text}`);
}
