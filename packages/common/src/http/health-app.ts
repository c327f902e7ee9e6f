import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { addHealthRoutes, createHttpServer, type Readiness } from './http-server.ts';

/**
 * A server with nothing but health, on a port of its own: neither the clients of a process nor strangers can keep whoever
 * restarts it from asking.
 */
export function createHealthApp({
  log,
  readiness,
  facts,
  describe,
}: {
  log: Logger;
  readiness: Readiness;
  /** What `/health/ready` tells of the process besides, for `bin/status.mjs`. */
  facts?: () => object;
  /** What `/types` tells of the data of event types, for `npx waybill dev`; without it there is no such route. */
  describe?: (() => object) | undefined;
}): FastifyInstance {
  const app = createHttpServer({ log, maxConnections: 100 });
  addHealthRoutes(app, readiness, facts);
  if (describe) app.get('/types', async () => describe());
  return app;
}
