import type { FastifyInstance } from 'fastify';

/**
 * Cuts off clients that take longer than `maxMs` for an answer, however steadily they read: it is held until they have it,
 * and the silence timeout of a connection begins anew with each byte.
 */
export function limitAnswerTime(app: FastifyInstance, maxMs: number): void {
  app.addHook('onSend', (_request, { raw }, _payload, done) => {
    const timer = setTimeout(() => raw.destroy(), maxMs).unref();
    raw.once('close', () => clearTimeout(timer));
    done();
  });
}
