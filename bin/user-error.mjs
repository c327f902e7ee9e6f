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
    console.error(error instanceof UserError ? error.message : error);
    process.exitCode = 1;
  }
}
