import { AppError } from '../errors.ts';

/**
 * Runs the start of a process. What the operator can mend (settings, a taken port) is told in one message without a
 * stack trace; everything else with one. Either way the process exits 1.
 */
export async function runService(start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    console.error(explain(error));
    process.exit(1);
  }
}

function explain(error: unknown): string {
  if (error instanceof AppError && error.code === 'invalid-config') return error.message;
  const { code, port, address } = (error ?? {}) as { code?: string; port?: number; address?: string };
  if (code === 'EADDRINUSE')
    return `port ${port} on ${address} is taken: stop what uses it, or set another port`;
  if (code === 'EACCES' && port !== undefined)
    return `port ${port} on ${address} is not allowed for this user`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
