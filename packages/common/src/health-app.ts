import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { addHealthRoutes, createHttpServer, type Readiness } from './http-server.ts';
import { markInternal } from './internal-server.ts';

/** A server with nothing but health, for a process that has no public port. */
export function createHealthApp({ log, readiness }: { log: Logger; readiness: Readiness }): FastifyInstance {
  const app = createHttpServer({ log, maxConnections: 100 });
  markInternal(app.server);
  addHealthRoutes(app, readiness);
  return app;
}
