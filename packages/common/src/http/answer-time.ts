import type { FastifyInstance } from 'fastify';

/** What the system takes at once, so that it is not held here but for a reader whose buffers are full. */
const TAKEN_AT_ONCE_BYTES = 16 * 1024;

/**
 * Cuts off clients that take longer than `maxMs` for an answer, however steadily they read: it is held until they have it,
 * and the silence timeout of a connection begins anew with each byte.
 */
export function limitAnswerTime(app: FastifyInstance, maxMs: number): void {
  app.addHook('onSend', (_request, { raw }, payload, done) => {
    // A stream has no length, and may be of any.
    const { length = Number.POSITIVE_INFINITY } = (payload ?? '') as { length?: number };
    if (length <= TAKEN_AT_ONCE_BYTES) return done();
    const timer = setTimeout(() => raw.destroy(), maxMs).unref();
    raw.once('close', () => clearTimeout(timer));
    done();
  });
}
