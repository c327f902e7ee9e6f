import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { ParkedRequest } from '../replies/parked-requests.ts';

/** The reply of a parked request; when `signal` aborts, because the client has gone, the wait ends with `client-gone`. */
export async function waitForReply(request: ParkedRequest, signal: AbortSignal): Promise<CloudEvent> {
  const onGone = () => request.fail(new AppError('client-gone', 'the client has gone'));
  if (signal.aborted) onGone();
  signal.addEventListener('abort', onGone, { once: true });
  try {
    return await request.reply;
  } finally {
    signal.removeEventListener('abort', onGone);
  }
}
