import { context } from '@opentelemetry/api';
import { createBodyReader } from '@waybill/common/http/read-body.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify';
import type { IdempotencyHooks } from './idempotency-hooks.ts';

/** Answers a request, whose body is bytes, by its reply. */
type Handle = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/**
 * Adds a `POST` route whose requests leave Fastify's way when they are let in, behind all hooks for `onRequest`: it would look for a
 * parser, bind what that calls back, ask a validator and run further hooks, of which nothing is needed here.
 */
export function addHotRoute(
  app: FastifyInstance,
  url: string,
  {
    schema,
    handle,
    idempotency: { preHandler: begin, onSend },
  }: { schema: FastifySchema; handle: Handle; idempotency: IdempotencyHooks },
): void {
  const readBody = createBodyReader(app.initialConfig.bodyLimit as number);

  function takeOver(request: FastifyRequest, reply: FastifyReply): void {
    const fail = (error: unknown) => {
      reply.send(error instanceof Error ? error : new Error(String(error)));
    };
    const onBegun = (failure?: Error) => {
      if (failure) fail(failure);
      else handle(request, reply).catch(fail);
    };
    const onBody = (error: Error | null, body?: Buffer) => {
      request.body = body;
      if (!error) return begin(request, reply, onBegun);
      // More of it may come, which nobody reads.
      reply.header('connection', 'close');
      fail(error);
    };
    // A body comes in the context of its connection, which knows nothing of the request's span.
    readBody(request, request.raw, context.bind(context.active(), onBody));
  }

  // As the hook does not call back, Fastify goes no further.
  app.post(url, { schema, onRequest: (request, reply, _done) => takeOver(request, reply), onSend }, handle);
}
