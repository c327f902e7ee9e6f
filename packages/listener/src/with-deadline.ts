import { AppError } from '@waybill/common/errors.ts';

/**
 * Runs `run` with a signal that aborts after `timeoutMs`, or when `signal` does. A run that does not heed it is no
 * longer waited for; when `signal` has aborted already there is no run.
 *
 * @throws AppError `handler-timeout` or `delivery-lost`, or what `run` throws.
 */
export async function withDeadline<T>(
  run: (signal: AbortSignal) => Promise<T>,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<T> {
  const lost = () => new AppError('delivery-lost', 'the delivery was lost');
  if (signal.aborted) throw lost();
  const controller = new AbortController();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (error: AppError) => {
    // First, so that what the handler makes of its signal does not hide why it was ended.
    reject(error);
    controller.abort(error);
  };
  const onLost = () => abort(lost());
  const timer = setTimeout(
    () => abort(new AppError('handler-timeout', `the handler took longer than ${timeoutMs} ms`)),
    // Node's timers count whole milliseconds, and so may fire up to one early: just before an event's own deadline.
    timeoutMs + 1,
  );
  signal.addEventListener('abort', onLost, { once: true });
  try {
    return await Promise.race([run(controller.signal), aborted]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onLost);
  }
}
