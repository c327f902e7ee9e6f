import fastifyCors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** How long browsers keep what a preflight was told, in seconds; Chromium keeps it for two hours at the most. */
const MAX_AGE_S = 600;

/**
 * Lets web pages of `origins` (`*` for all) call the routes of `app`, and read every answer, problems included (Fetch standard,
 * CORS protocol). A preflight is answered before anybody is asked for a key, which browsers do not send along. No cookies
 * are part of it: keys are sent by the page itself. Without origins nothing is said, and browsers refuse.
 */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(fastifyCors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'DELETE'],
    exposedHeaders: '*',
    maxAge: MAX_AGE_S,
    strictPreflight: false,
  });
}
