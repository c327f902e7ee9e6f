import type { FastifyInstance, FastifyReply } from 'fastify';
import type { EncodedResponse } from './event-http.ts';

/** Stands for no content type until the headers are written: Fastify gives one of its own to bytes without. */
const NO_CONTENT_TYPE = 'x-none/x-none';

/**
 * Sends `body` with `headers` as they are: without a content type where they have none, and without a charset that
 * Fastify would add to one. For routes of an app with {@link allowNoContentType}.
 */
export function sendExactly(
  reply: FastifyReply,
  { headers, body }: { headers: Record<string, string>; body: Buffer },
): FastifyReply {
  return reply.headers({ 'content-type': NO_CONTENT_TYPE, ...headers }).send(body);
}

/** Sends what the codec has made of an answer. */
export function sendEncoded(reply: FastifyReply, { headers, body }: EncodedResponse): FastifyReply {
  if (Buffer.isBuffer(body)) return sendExactly(reply, { headers, body });
  return reply.headers(headers).send(body);
}

/** Has the routes of `app` answer without a content type where {@link sendExactly} is given none. */
export function allowNoContentType(app: FastifyInstance): void {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (reply.getHeader('content-type') === NO_CONTENT_TYPE) reply.removeHeader('content-type');
    done();
  });
}
