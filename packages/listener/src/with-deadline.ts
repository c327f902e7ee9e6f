import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';

/**
 * Gives `next` a signal that aborts after `timeoutMs`, at the event's own deadline, or when its delivery is lost. One that
 * does not heed it is no longer waited for; when the delivery is lost already, `next` is not called.
 *
 * @throws AppError `handler-timeout` or `delivery-lost`, or what `next` throws.
 */
export function withDeadline<T, Context extends { signal: AbortSignal }>(
  next: (event: CloudEvent, context: Context) => Promise<T> | T,
  { timeoutMs }: { timeoutMs: number },
): (event: CloudEvent, context: Context) => Promise<T> | T {
  return (event, context) => {
    const boundMs = Math.min(timeoutMs, Math.max(1, expiryMs(event) - Date.now()));
    return endedBy((signal) => next(event, { ...context, signal }), {
      loss: context.signal,
      lost: () => new AppError('delivery-lost', 'the delivery was lost'),
      timeoutMs: boundMs,
      late: () => new AppError('handler-timeout', `the handler took longer than ${boundMs} ms`),
    });
  };
}

/**
 * Gives `run` a signal that aborts after `timeoutMs`, or when `loss` does; one that does not heed it is no longer waited for.
 * It is not called when `loss` has aborted already. Neither timer nor listener is left behind; there are none for a run that
 * is over when it returns.
 *
 * @throws what `late` or `lost` returns, or what `run` throws.
 */
export function endedBy<T>(
  run: (signal: AbortSignal) => Promise<T> | T,
  {
    loss,
    lost,
    timeoutMs,
    late,
  }: { loss: AbortSignal; lost: () => unknown; timeoutMs: number; late: () => AppError },
): Promise<T> | T {
  if (loss.aborted) throw lost();
  const controller = new AbortController();
  const running = run(controller.signal);
  if (!(running instanceof Promise)) return running;
  return new Promise((resolve, reject) => {
    const leave = () => {
      clearTimeout(timer);
      loss.removeEventListener('abort', onLost);
    };
    const abort = (error: unknown) => {
      leave();
      // First, so that what the handler makes of its signal does not hide why it was ended.
      reject(error);
      controller.abort(error);
    };
    const onLost = () => abort(lost());
    const timer = setTimeout(
      () => abort(late()),
      // Node's timers count whole milliseconds, and so may fire up to one early: just before an event's own deadline.
      timeoutMs + 1,
    );
    loss.addEventListener('abort', onLost, { once: true });
    running.then(
      (value) => {
        leave();
        resolve(value);
      },
      (error) => {
        leave();
        reject(error);
      },
    );
    // By what it did before it returned.
    if (loss.aborted) onLost();
  });
}
