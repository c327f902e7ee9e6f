import { toAppError } from '@waybill/common/errors.ts';

/** For the dead letter's reader, who has no log at hand: with the message of the cause. */
export function describeError(error: Error): { code: string; message: string } {
  const code = (error as { code?: unknown }).code ?? error.name;
  const message = String(error.message);
  const why = error.cause instanceof Error ? error.cause.message : '';
  return { code: String(code), message: message.endsWith(why) ? message : `${message}: ${why}` };
}

/** A handler may throw anything at all: what is no error, or cannot be described, becomes one of ours. */
export function toError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error) {
      describeError(thrown);
      return thrown;
    }
  } catch {}
  return toAppError(thrown);
}
