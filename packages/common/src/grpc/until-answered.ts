import type { EventEmitter } from 'node:events';

/**
 * Runs `answer` with a signal that aborts when the caller of a gRPC server cancels, goes away, or its deadline passes before
 * `answer` has ended. To grpc-js every call is `cancelled` once its stream has closed, one that was answered as well: that is
 * not heard any more.
 */
export async function untilAnswered<T>(
  call: { cancelled: boolean } & Pick<EventEmitter, 'once' | 'off'>,
  answer: (gone: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController();
  const onCancelled = () => gone.abort();
  if (call.cancelled) gone.abort();
  else call.once('cancelled', onCancelled);
  try {
    return await answer(gone.signal);
  } finally {
    call.off('cancelled', onCancelled);
  }
}
