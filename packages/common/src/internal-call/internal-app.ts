import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { INTERNAL_BODY_LIMIT_BYTES } from '../batch-limits.ts';
import { createHttpServer } from '../http/http-server.ts';
import type { KeyPair } from '../http/tls.ts';
import { markInternal } from '../telemetry/internal-server.ts';
import type { ClockCheck } from './clock-check.ts';
import type { Key } from './internal-keys.ts';
import { refuseUnsigned, verifyCall } from './verify-call.ts';

/** A call that another tier signed. */
export type InternalCall = { body: Buffer; contentType: string; log: FastifyBaseLogger };

/** Creates an internal port: signed, never published outside, left out of traces, and with one route. */
export function createInternalApp({
  log,
  tls,
  keys,
  clock,
  path,
  handle,
}: {
  log: FastifyBaseLogger;
  tls?: KeyPair;
  keys: Key[];
  clock: ClockCheck;
  /** What is posted to. */
  path: string;
  /** Resolves with what is answered with 200, as JSON; what it throws is answered as a problem. */
  handle(call: InternalCall): Promise<object>;
}): FastifyInstance {
  const app = createHttpServer({ log, tls, bodyLimitBytes: INTERNAL_BODY_LIMIT_BYTES });
  markInternal(app.server);
  app.post(path, { onRequest: refuseUnsigned(keys) }, async (request, reply) => {
    const body = verifyCall(request, { keys, clock });
    const contentType = request.headers['content-type'] ?? '';
    return reply.send(await handle({ body, contentType, log: request.log }));
  });
  return app;
}
