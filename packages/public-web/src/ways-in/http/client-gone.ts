import type { FastifyReply } from 'fastify';
import { isAwaitedByOthers } from '../../idempotency/idempotency.ts';

/** Aborts when the connection closes before the answer is out; never when others may ask for that answer. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (isAwaitedByOthers(reply.request)) return gone.signal;
  // It may have gone while the body was read; then there is no event any more.
  if (reply.raw.destroyed) gone.abort();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}
