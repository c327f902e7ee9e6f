import type { FastifyReply } from 'fastify';

/** Aborts when the connection closes before the answer is out. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  // It may have gone while the body was read; then there is no event any more.
  if (reply.raw.destroyed) gone.abort();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}
