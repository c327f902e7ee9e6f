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
    controller.abort(error);
    reject(error);
  };
  const onLost = () => abort(lost());
  const timer = setTimeout(
    () => abort(new AppError('handler-timeout', `the handler took longer than ${timeoutMs} ms`)),
    timeoutMs,
  );
  signal.addEventListener('abort', onLost, { once: true });
  try {
    return await Promise.race([run(controller.signal), aborted]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onLost);
  }
}
