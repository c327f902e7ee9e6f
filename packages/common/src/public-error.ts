/** The boundary: the one way from whatever was thrown to what somebody outside is told. */
import { AppError } from './errors.ts';

/** What any client is told of an error that nobody foresaw. */
const NOTHING_TOLD = 'an unexpected error; see the log of this instance';

/** What was thrown, and the error made of it: one that fails a whole batch comes here once for each of its events. */
const made = new WeakMap<object, AppError>();

/**
 * The error whose code and message may be shown to whoever asked. An {@link AppError} was written for that and is
 * returned as it is. Anything else becomes `unexpected`, which tells nothing, and is logged with its stack: once,
 * however often it comes here.
 *
 * @param fields go into that line: the `event_id`, if there is one.
 */
export function toPublicError(
  thrown: unknown,
  log: { error(fields: object, message: string): void },
  fields: object = {},
): AppError {
  if (isPublic(thrown)) return thrown;
  const known = made.get(keyOf(thrown));
  if (known) return known;
  const error = new AppError('unexpected', NOTHING_TOLD, { cause: thrown });
  made.set(keyOf(thrown), error);
  made.set(error, error);
  log.error({ ...fields, err: thrown }, 'unexpected error');
  return error;
}

/** One that another tier answered with has no cause here: that tier has logged it. */
function isPublic(thrown: unknown): thrown is AppError {
  return thrown instanceof AppError && (thrown.code !== 'unexpected' || thrown.cause === undefined);
}

/** What is no object is never seen again. */
function keyOf(thrown: unknown): object {
  return Object(thrown);
}
