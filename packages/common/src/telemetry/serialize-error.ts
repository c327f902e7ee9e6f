/** Errors as they are logged. A handler may throw anything at all, and the line that says so must not fail for it. */
import { pino } from 'pino';
import { UNREADABLE } from '../errors.ts';

/** What pino makes of an error; of one that it cannot serialise, what can be read of it. Never throws. */
export function serializeError(thrown: unknown): unknown {
  try {
    return pino.stdSerializers.err(thrown as Error);
  } catch {
    return readError(thrown);
  }
}

/** pino marks what it serialises, and a frozen error takes no mark. */
function readError(thrown: unknown): Record<'type' | 'message' | 'stack', string> {
  return { type: read(thrown, 'name'), message: read(thrown, 'message'), stack: read(thrown, 'stack') };
}

function read(thrown: unknown, name: keyof Error): string {
  try {
    return String((thrown as Error)[name]);
  } catch {
    return UNREADABLE;
  }
}
