/** `GET /ws`: WebSockets on the public HTTP port. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { DEFAULT_EVENT_BYTES } from '@waybill/common/batch-limits.ts';
import { AppError } from '@waybill/common/errors.ts';
import { endInStages } from '@waybill/common/http/close-in-stages.ts';
import { sendProblemBody } from '@waybill/common/http/http-server.ts';
import { ServerResponse } from '@waybill/common/http/node-http.ts';
import { unansweredOn } from '@waybill/common/http/unanswered.ts';
import { problemFor } from '@waybill/common/problem.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type WebSocket, WebSocketServer } from 'ws';
import { assertClients, type Clients } from '../../clients/clients.ts';
import { CLOSE } from './close-codes.ts';
import { type Connection, type ConnectionOptions, serveWebSocket } from './connection.ts';
import { type AttachedClient, attachWebSocket } from './mailbox-connection.ts';
import type { IsAllowedOrigin } from './origin.ts';

/** CloudEvents WebSockets binding, section 3: events as text in the JSON format. */
const SUBPROTOCOL = 'cloudevents.json';
/** How often clients are asked whether they are there. Balancers cut off what is silent for a minute. */
const CHECK_MS = 30_000;
/** A message may come in as many pieces; each costs a hundred bytes and more besides its own. */
const MAX_PIECES = 1_024;

export type WebSocketOptions = Omit<ConnectionOptions, 'caller' | 'log'> & {
  isAllowedOrigin: IsAllowedOrigin;
  /** Most bytes of a message (default 256 KiB). */
  maxEventBytes?: number | undefined;
  /** Undefined without a store. */
  clients?: Clients | undefined;
};

/** The WebSockets of one instance. */
export type WebSockets = {
  /** Resolves when each client has its answers and is closed, or was cut off. */
  drain(): Promise<void>;
};

/** Whether a request asks for a WebSocket; what asks for another protocol is served by HTTP/1.1 (RFC 9110, section 7.8). */
export function isWebSocketUpgrade({ method, url = '', headers }: IncomingMessage): boolean {
  return method === 'GET' && /^\/ws(?:$|\?)/.test(url) && /^websocket$/i.test(headers.upgrade ?? '');
}

/**
 * Serves `GET /ws`, behind what admits callers to the routes of `app`. Anything but a WebSocket with the subprotocol is
 * told so by a problem: 426 or 400; another origin 403.
 */
export function addWebSocketRoutes(
  app: FastifyInstance,
  { isAllowedOrigin, clients, maxEventBytes = DEFAULT_EVENT_BYTES, ...options }: WebSocketOptions,
): WebSockets {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxEventBytes,
    maxFragments: MAX_PIECES,
    maxBufferedChunks: MAX_PIECES,
    // Costs 300 kB a connection, and lets a stranger have a small message become a large one.
    perMessageDeflate: false,
    handleProtocols: () => SUBPROTOCOL,
    clientTracking: false,
  });
  const upgrades = routeUpgrades(app);
  const connections = new Set<Connection>();
  let onEmpty: (() => void) | undefined;
  let isDraining = false;
  const timer = setInterval(() => {
    for (const connection of connections) connection.check();
  }, CHECK_MS).unref();
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer);
    done();
  });

  app.get('/ws', { schema: { hide: true } }, async (request, reply) => {
    const upgrade = upgrades.get(request.raw);
    if (!upgrade) return refuseWithoutUpgrade(reply);
    const refusal = refusalOf(request.headers);
    if (refusal) throw refusal;
    const { socket } = upgrade;
    const attached = await attach(request, () => socket.destroyed || socket.readableEnded);
    reply.hijack();
    reply.raw.detachSocket(request.raw.socket);
    let isServed = false;
    server.handleUpgrade(request.raw, upgrade.socket, upgrade.head, (socket) => {
      isServed = true;
      serve(socket, request, attached);
    });
    if (!isServed) attached?.abandon();
    return reply;
  });

  /** Undefined for a client without an id. */
  async function attach(
    { query, caller, log }: FastifyRequest,
    isGone: () => boolean,
  ): Promise<AttachedClient | undefined> {
    const { client, after, acks, heartbeats } = query as Record<string, string | undefined>;
    if (client === undefined) return undefined;
    const { sessions } = assertClients(clients);
    const asks = { isAcknowledging: acks === 'client', hasHeartbeats: heartbeats === 'true' };
    return attachWebSocket(sessions, { client, after, ...asks, isGone, caller, log });
  }

  function serve(socket: WebSocket, { caller, log }: FastifyRequest, attached?: AttachedClient): void {
    giveReasons(socket, maxEventBytes);
    const connection = attached?.serve(socket) ?? serveWebSocket(socket, { ...options, caller, log });
    connections.add(connection);
    if (isDraining) connection.drain();
    socket.once('close', () => {
      connections.delete(connection);
      if (connections.size === 0) onEmpty?.();
    });
  }

  function refusalOf(headers: IncomingMessage['headers']): AppError | undefined {
    if (!isAllowedOrigin(headers.origin, headers.host))
      return new AppError('forbidden', 'pages of this origin may not connect (setting ALLOWED_ORIGINS)');
    const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes(SUBPROTOCOL))
      return new AppError('invalid-request', `the subprotocol ${SUBPROTOCOL} is not offered`);
    return undefined;
  }

  return {
    drain() {
      const { promise, resolve } = Promise.withResolvers<void>();
      isDraining = true;
      onEmpty = resolve;
      for (const connection of connections) connection.drain();
      if (connections.size === 0) resolve();
      return promise;
    },
  };
}

/** `ws` says by a code alone what is wrong with a message: whoever sent it learns which limit it was. */
function giveReasons(socket: WebSocket, maxEventBytes: number): void {
  const close = socket.close.bind(socket);
  const reasons: Record<number, string> = {
    [CLOSE.tooManyPieces]: `a message comes in ${MAX_PIECES} pieces at most`,
    [CLOSE.tooLarge]: `a message has ${maxEventBytes} bytes at most`,
  };
  socket.close = (code, reason = reasons[code ?? 0]) => close(code, reason);
}

/** The connection of a request for another protocol, and what came behind the request. */
type Upgrade = { socket: Duplex; head: Buffer };

/**
 * Lets such requests go the way of all others, so that who asks is looked at first. One that is refused is answered as
 * others are, and its connection ends: nobody reads it any more.
 *
 * Own code: `@fastify/websocket` leaves the connection open when a hook outside of its scope has refused it.
 */
function routeUpgrades(app: FastifyInstance): { get(request: IncomingMessage): Upgrade | undefined } {
  const upgrades = new WeakMap<IncomingMessage, Upgrade>();
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node has taken its own listener away, and a reset unheard would end the process.
    socket.on('error', destroy);
    // A client has to wait for its answers before it asks for this (RFC 6455, section 4.1), and no two can be written at once.
    if (unansweredOn(request.socket).length > 0) return socket.destroy();
    upgrades.set(request, { socket, head });
    const response = new ServerResponse(request);
    response.assignSocket(request.socket);
    response.once('finish', () => endInStages(request.socket));
    response.setHeader('connection', 'close');
    app.routing(request, response);
  });
  return upgrades;
}

/** One for all: made for each request, it would hold that as long as the connection lasts. */
function destroy(this: Duplex): void {
  this.destroy();
}

function refuseWithoutUpgrade(reply: FastifyReply): FastifyReply {
  reply.header('upgrade', 'websocket').header('connection', 'upgrade');
  const problem = problemFor('invalid-request', 'this is for WebSockets');
  return sendProblemBody(reply, { ...problem, title: 'Upgrade Required', status: 426 });
}
