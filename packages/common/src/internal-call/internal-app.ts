import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { INTERNAL_BODY_LIMIT_BYTES } from '../batch-limits.ts';
import { createHttpServer } from '../http/http-server.ts';
import type { KeyPair } from '../http/tls.ts';
import { type ClockCheck, createClockCheck } from './clock-check.ts';
import type { Key } from './internal-keys.ts';
import { refuseUnsigned, verifyCall } from './verify-call.ts';

/** A call that another tier signed. */
export type InternalCall = {
  body: Buffer;
  contentType: string;
  log: FastifyBaseLogger;
  /** Whether its caller has given it up, as far as is known by now. */
  isGone(): boolean;
};

/**
 * Resolves with what is answered with 200: an object, or text that is JSON already. What it throws is answered as a problem.
 */
export type HandleInternalCall = (call: InternalCall) => Promise<object | string>;

/** Creates an internal port: signed, never published outside, left out of traces. */
export function createInternalApp({
  log,
  tls,
  keys,
  clock,
  routes,
}: {
  log: FastifyBaseLogger;
  tls?: KeyPair;
  keys: Key[];
  clock: ClockCheck;
  /**
   * By the path that is posted to; those with `keys` of their own take calls signed with these alone, by whoever is no tier: what they
   * say of the time makes no process unready.
   */
  routes: Readonly<Record<string, HandleInternalCall | { keys: Key[]; handle: HandleInternalCall }>>;
}): FastifyInstance {
  const app = createHttpServer({ log, tls, bodyLimitBytes: INTERNAL_BODY_LIMIT_BYTES });
  for (const [path, route] of Object.entries(routes)) {
    const own =
      typeof route === 'function' ? { handle: route, keys, clock } : { ...route, clock: createClockCheck() };
    const { handle, ...verifying } = own;
    app.post(path, { onRequest: refuseUnsigned(verifying.keys) }, async (request, reply) => {
      const body = verifyCall(request, verifying);
      const contentType = request.headers['content-type'] ?? '';
      const { socket } = request.raw;
      const isGone = () => socket.destroyed || socket.readableEnded;
      const answer = await handle({ body, contentType, log: request.log, isGone });
      if (typeof answer === 'string') reply.type('application/json');
      return reply.send(answer);
    });
  }
  return app;
}
