/** The public port: routes, their OpenAPI description, and its docs page. */
import type { TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import { createAllowedHosts, refuseOtherHosts } from '@waybill/common/http/allowed-hosts.ts';
import { limitAnswerTime } from '@waybill/common/http/answer-time.ts';
import { addHealthRoutes, createHttpServer, type Readiness } from '@waybill/common/http/http-server.ts';
import type { KeyPair } from '@waybill/common/http/tls.ts';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Admit } from '../../admission/admission.ts';
import type { VerifyToken } from '../../admission/json-web-tokens.ts';
import type { Tickets } from '../../admission/tickets.ts';
import type { Clients } from '../../clients/clients.ts';
import type { AcceptClient } from '../../core/accept-client.ts';
import type { RecentEvents } from '../../core/recent-events.ts';
import type { Idempotency } from '../../idempotency/idempotency.ts';
import { REQUESTS_PATH } from '../../later/request-locations.ts';
import { type ClientAddress, createClientAddress } from '../client-address.ts';
import { createAllowedOrigins } from '../websocket/origin.ts';
import { addWebSocketRoutes, isWebSocketUpgrade, type WebSockets } from '../websocket/websocket-routes.ts';
import { addressOf, requireAdmission } from './admit-request.ts';
import { createGetClientEvents } from './client-events.ts';
import { createGetMailbox, createPostClientEvent } from './client-mailbox.ts';
import { allowOrigins } from './cors.ts';
import { addDocs } from './docs-page.ts';
import { addHotRoute } from './hot-route.ts';
import { createIdempotencyHooks } from './idempotency-hooks.ts';
import { addLandingPage } from './landing-page.ts';
import { clientRouteSchema, ticketRouteSchema } from './openapi/client-routes.ts';
import { eventRouteSchema, pingRouteSchema, postPingRouteSchema } from './openapi/event-routes.ts';
import {
  clientEventsRouteSchema,
  mailboxRouteSchema,
  postClientEventRouteSchema,
} from './openapi/mailbox-routes.ts';
import { deleteRequestRouteSchema, requestRouteSchema } from './openapi/request-routes.ts';
import { createPostClient } from './post-client.ts';
import { createPing, createPostEvent, type PostEventOptions } from './post-event.ts';
import { createPostTicket } from './post-ticket.ts';
import { createDeleteRequest, createGetRequest } from './requests.ts';
import { allowNoContentType } from './send-exactly.ts';
import { shedLoad } from './shed-load.ts';
import { addTryPage } from './try-page.ts';

/** How long a client may take to read its answer; and how much longer than the longest wait for one it may be silent. */
const READ_MS = 30_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

export type PublicAppOptions = PostEventOptions & {
  /** Undefined without a store. */
  clients?: Clients | undefined;
  /** What is told of the types that clients may send; asked each time. */
  types: () => TypeDescriptions;
  /** What the landing page shows; without it there is none, nor `/try`. */
  recent?: RecentEvents | undefined;
  acceptClient: AcceptClient;
  admit: Admit;
  /** Default: the address of the connection. */
  clientAddress?: ClientAddress | undefined;
  /** Undefined: no tokens are taken. */
  verifyToken?: VerifyToken | undefined;
  idempotency: Idempotency;
  log: Logger;
  readiness: Readiness;
  maxConnections: number;
  maxEventLoopDelayMs: number;
  /** Most bytes of a body, and of a message of a WebSocket (default 256 KiB). */
  maxEventBytes?: number | undefined;
  tickets: Tickets;
  /** See {@link allowOrigins} and {@link createAllowedOrigins}. */
  allowedOrigins: readonly string[];
  /** See {@link createAllowedHosts}. */
  allowedHosts: readonly string[];
  tls?: KeyPair;
};

/** The public server, and the WebSockets on its port. */
export type PublicApp = { app: FastifyInstance; webSockets: WebSockets };

/** Creates the public server; `listen` is the caller's. */
export async function createPublicApp(options: PublicAppOptions): Promise<PublicApp> {
  const { log, deadlineMs, readiness, maxConnections, tls, clientAddress = createClientAddress() } = options;
  const { maxEventBytes: bodyLimitBytes } = options;
  const silenceTimeoutMs = Math.min(deadlineMs + READ_MS, MAX_TIMER_MS);
  const app = createHttpServer({
    ...{ log, maxConnections, bodyLimitBytes, silenceTimeoutMs, tls },
    tracing: { clientAddressOf: (request) => addressOf(request, clientAddress) },
    isUpgrade: isWebSocketUpgrade,
  });
  limitAnswerTime(app, READ_MS);
  refuseOtherHosts(app, createAllowedHosts(options.allowedHosts));
  await allowOrigins(app, options.allowedOrigins);

  // Health and the descriptions stay open to all.
  await addDocs(app, options.types);
  addLandingPage(app, options);
  addTryPage(app, { isShown: options.recent !== undefined });
  const { promise: webSockets, resolve: onWebSockets } = Promise.withResolvers<WebSockets>();
  await app.register(async (guarded) => {
    shedLoad(guarded, options);
    await guarded.register(async (events) => addEventRoutes(events, options));
    await guarded.register(async (streams) => {
      requireAdmission(streams, options.admit, options);
      const isAllowedOrigin = createAllowedOrigins(options.allowedOrigins);
      streams.get(
        '/clients/:client/events',
        { schema: { ...clientEventsRouteSchema, operationId: 'getClientEvents' } },
        createGetClientEvents(options),
      );
      onWebSockets(addWebSocketRoutes(streams, { ...options, isAllowedOrigin }));
    });
  });
  addHealthRoutes(app, readiness);
  return { app, webSockets: await webSockets };
}

function addEventRoutes(app: FastifyInstance, options: PublicAppOptions): void {
  const { clientAddress, verifyToken } = options;
  requireAdmission(app, options.admit, { clientAddress, verifyToken });
  allowNoContentType(app);
  const idempotency = createIdempotencyHooks(options.idempotency, options);
  const hot = { handle: createPostEvent(options), idempotency };
  addHotRoute(app, '/', { ...hot, schema: { ...eventRouteSchema, operationId: 'postRoot' } });
  addHotRoute(app, '/events', { ...hot, schema: { ...eventRouteSchema, operationId: 'postEvent' } });
  app.get(
    `${REQUESTS_PATH}:place`,
    { schema: { ...requestRouteSchema, operationId: 'getRequest' } },
    createGetRequest(options),
  );
  app.delete(
    `${REQUESTS_PATH}:place`,
    { schema: { ...deleteRequestRouteSchema, operationId: 'deleteRequest' } },
    createDeleteRequest(options),
  );
  const ping = createPing(options);
  app.get('/ping', { schema: { ...pingRouteSchema, operationId: 'getPing' } }, ping);
  app.post('/ping', { ...idempotency, schema: { ...postPingRouteSchema, operationId: 'postPing' } }, ping);
  app.post(
    '/tickets',
    { schema: { ...ticketRouteSchema, operationId: 'postTicket' } },
    createPostTicket(options.tickets),
  );
  app.get(
    '/clients/:client/mailbox',
    { schema: { ...mailboxRouteSchema, operationId: 'getMailbox' } },
    createGetMailbox(options),
  );
  app.post(
    '/clients/:client/events',
    { ...idempotency, schema: { ...postClientEventRouteSchema, operationId: 'postClientEvent' } },
    createPostClientEvent(options),
  );
  const postClient = createPostClient(options.acceptClient);
  app.post(
    '/clients',
    { ...idempotency, schema: { ...clientRouteSchema, operationId: 'postClient' } },
    postClient,
  );
}
