/** HTTP servers that are not part of the public edge: no SERVER spans, no HTTP server metrics. */
import type { IncomingMessage, Server } from 'node:http';

/** Through the global registry, so that the preload and a service need not share one copy of this module. */
const INTERNAL = Symbol.for('waybill.internal');

/**
 * Marks `server` as internal: its requests are not traced. They run with tracing suppressed, so a handler starts its
 * spans from the event (`startEventSpan` with `parent: 'event'`), not from what is active.
 */
export function markInternal(server: Server): void {
  Reflect.set(server, INTERNAL, true);
}

/** Whether `request` reached a server that is marked, or asks for health. */
export function isInternalRequest(request: IncomingMessage): boolean {
  const { server } = request.socket as { server?: object };
  return (
    (server !== undefined && Reflect.has(server, INTERNAL)) || request.url?.startsWith('/health/') === true
  );
}
