import { INTERNAL_BODY_LIMIT_BYTES } from '@waybill/common/batch-limits.ts';
import { createHttpServer } from '@waybill/common/http/http-server.ts';
import type { KeyPair } from '@waybill/common/http/tls.ts';
import { refuseUnsigned } from '@waybill/common/internal-call/verify-call.ts';
import { markInternal } from '@waybill/common/telemetry/internal-server.ts';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { createPostReplies, type PostRepliesOptions } from './post-replies.ts';

/** The internal port: signed, never published outside, and left out of traces. */
export function createInternalApp({
  log,
  tls,
  ...options
}: PostRepliesOptions & { log: Logger; tls?: KeyPair }): FastifyInstance {
  const app = createHttpServer({ log, tls, bodyLimitBytes: INTERNAL_BODY_LIMIT_BYTES });
  markInternal(app.server);
  app.post('/dispatch', { onRequest: refuseUnsigned(options.keys) }, createPostReplies(options));
  return app;
}
