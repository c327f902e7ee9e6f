/**
 * The HTTP server every process builds on: limits that Fastify leaves open, problems instead of its own error
 * bodies, health, and a way to stop that drops no request.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type Socket, Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify';
import { DEFAULT_EVENT_BYTES } from '../batch-limits.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import { type Problem, problemFor, toProblem } from '../problem.ts';
import { toPublicError } from '../public-error.ts';
import { DRAIN_MS } from '../shutdown-bounds.ts';
import { within } from '../within.ts';
import { acceptFirst, afterRequests, putOffRequests } from './accept-first.ts';
import { acceptWaiting } from './accept-waiting.ts';
import { collectAllowedMethods } from './allowed-methods.ts';
import { closeInStages, dropInput, endInStages, isClosing } from './close-in-stages.ts';
import { answerHalfClosed } from './half-closed.ts';
import { headProblem } from './head-problem.ts';
import { STATUS_CODES } from './node-http.ts';
import { cutOff, keepSockets } from './open-sockets.ts';
import { createBodyReader } from './read-body.ts';
import type { KeyPair } from './tls.ts';
import { leaveUninstrumented, type RequestTracing, traceRequests } from './trace-requests.ts';
import { keepUnanswered, unansweredOn } from './unanswered.ts';

/** Why a process is not ready; `undefined` when it is. */
export type Readiness = () => string | undefined;

export type HttpServerOptions = {
  log: FastifyBaseLogger;
  /** Most sockets open at once (default 10,000). */
  maxConnections?: number;
  /** Most bytes of a body (default 256 KiB). */
  bodyLimitBytes?: number | undefined;
  /** How long a request may go without a byte either way; longer than any answer takes (default 60 s). */
  silenceTimeoutMs?: number;
  /** Makes it an HTTPS server. */
  tls?: KeyPair;
  /** Has its requests traced and measured, as a public server's are; default: none of them. */
  tracing?: RequestTracing;
  /** Which requests leave HTTP for another protocol; default: none, whatever they ask for. */
  isUpgrade?: (request: IncomingMessage) => boolean;
};

const HEADERS_TIMEOUT_MS = 5_000;
/** Of what a path names; Fastify's default is 100. */
const MAX_PARAM_LENGTH = 1_024;
/** Node looks for late ones only this often; its default is 30 s. */
const TIMEOUTS = { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: 1_000 };
/** Node answers a missing Host without a problem; {@link headProblem} has one. */
const NODE_OPTIONS = { ...TIMEOUTS, requireHostHeader: false };

/**
 * Schemas of routes are for their description. Bodies are checked by their handlers, whose errors name the fault; and what compiles
 * schemas is a hundred modules, which Fastify loads where it is not given another.
 */
const NO_SCHEMAS: object = {
  buildValidator: () => () => () => true,
  buildSerializer: () => () => JSON.stringify,
};

/**
 * Creates a Fastify instance with these limits: headers within 5 s, and before them a TLS handshake; the
 * request within 10 s; a connection whose client does not read its answer is cut off; keep-alive longer than the 60 s
 * after which a client renews its connections, so that the server is never first to close one.
 */
export function createHttpServer({
  log,
  maxConnections = 10_000,
  bodyLimitBytes = DEFAULT_EVENT_BYTES,
  silenceTimeoutMs = 60_000,
  tls,
  tracing,
  isUpgrade = () => false,
}: HttpServerOptions): FastifyInstance {
  const nodeOptions = { ...NODE_OPTIONS, shouldUpgradeCallback: isUpgrade };
  const app = fastify({
    logController: new LogController({ disableRequestLogging: true }),
    // Of most requests there is one line, which names its event, so that it would join nothing.
    genReqId: () => '',
    bodyLimit: bodyLimitBytes,
    requestTimeout: 10_000,
    connectionTimeout: silenceTimeoutMs,
    keepAliveTimeout: 75_000,
    http: nodeOptions,
    // Node's own limit for a handshake is 2 minutes.
    https: tls && { ...tls, ...nodeOptions, handshakeTimeout: HEADERS_TIMEOUT_MS },
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    schemaController: { compilersFactory: NO_SCHEMAS },
    return503OnClosing: false,
    exposeHeadRoutes: true,
    frameworkErrors: (error, _request, reply) => sendProblem(reply, fromFastifyError(error, log)),
    clientErrorHandler: refuseMalformed,
    // Fastify's types keep the two kinds of server apart, which nothing here needs.
  } as FastifyHttpOptions<Server, FastifyBaseLogger>);
  // Not by an option: Fastify would have each request made a logger, and look whether it is one, and when its answer is out.
  app.log = log;
  leaveUninstrumented(app.server);
  if (tracing) traceRequests(app, tracing);
  app.server.maxConnections = maxConnections;
  // A connection that cannot be accepted, as no more files may be open, must not end the process.
  app.server.on('error', () => {});
  // The size of all is bounded; beyond its number of 2,000 Node would drop some without a word.
  app.server.maxHeadersCount = 0;
  acceptFirst(app.server);
  putOffRequests(app.server);
  keepUnanswered(app.server);
  answerHalfClosed(app.server);
  app.server.on('checkContinue', sendContinue).on('checkExpectation', refuseExpectation);
  app.server.on('connect', refuseTunnel);
  keepSockets(app.server);
  const allowedMethods = collectAllowedMethods(app);
  app.addHook('onRequest', (request, reply, done) => {
    request.log = reply.log = log;
    // Came in one piece with the request before, and is left to the end of its connection.
    if (isClosing(request.raw.socket)) return;
    const problem = headProblem(request.raw);
    if (!problem) return done();
    // Who speaks HTTP so may mean another end of this request than is seen here.
    closeInStages(request.raw.socket);
    reply.header('connection', 'close');
    // RFC 9110, section 12.5.3: what a request may be encoded in after a 415.
    if (problem.status === 415) reply.header('accept-encoding', 'identity');
    sendProblemBody(reply, problem);
  });
  app.addHook('onSend', (request, reply, _payload, done) => {
    const isUnread = isBodyUnread(request);
    if (isUnread) closeInStages(request.raw.socket);
    if (isUnread || draining.has(app.server)) reply.header('connection', 'close');
    done();
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', createBodyReader(bodyLimitBytes));
  app.setErrorHandler((error: FastifyError, request, reply) =>
    sendProblem(reply, fromFastifyError(error, request.log)),
  );
  app.setNotFoundHandler(({ method, url }, reply) => {
    const path = url.split('?', 1)[0] as string;
    const allowed = allowedMethods(path);
    const isKnown = allowed.length > 0 && (method === 'OPTIONS' || !allowed.includes(method));
    if (!isKnown) return sendProblem(reply, new AppError('not-found', `no route for ${method} ${path}`));
    reply.header('allow', allowed.join(', '));
    if (method === 'OPTIONS') return reply.code(204).send();
    return sendProblem(reply, new AppError('method-not-allowed', `${path} takes ${allowed.join(', ')}`));
  });
  return app;
}

/**
 * Serves `GET /health/live` and `GET /health/ready` (200, or 503 with the reason).
 *
 * @param facts what else is told of the process by the latter; nothing on a port that strangers reach
 */
export function addHealthRoutes(
  app: FastifyInstance,
  readiness: Readiness,
  facts: () => object = () => ({}),
): void {
  app.get('/health/live', { schema: { hide: true } }, async () => ({ status: 'live' }));
  app.get('/health/ready', { schema: { hide: true } }, async (_request, reply) => {
    const reason = readiness();
    if (reason === undefined) return { status: 'ready', ...facts() };
    return reply.code(503).send({ status: 'not ready', reason, ...facts() });
  });
}

/** The port a server listens on, which the system chose when the setting was 0. */
export function portOf(app: FastifyInstance): number | undefined {
  const address = app.server.address();
  return typeof address === 'object' ? address?.port : undefined;
}

/** Answers with the RFC 9457 problem of `error`. */
export function sendProblem(reply: FastifyReply, error: AppError): FastifyReply {
  return sendProblemBody(reply, toProblem(error), error.retryAfterMs);
}

/** Answers with a problem made elsewhere. 429 and 503 carry `Retry-After`, in whole seconds from 1 up. */
export function sendProblemBody(reply: FastifyReply, problem: Problem, retryAfterMs = 0): FastifyReply {
  if (problem.status === 503 || problem.status === 429)
    reply.header('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1000))));
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .send(JSON.stringify(problem));
}

/**
 * Stops a server without dropping a request: connections that clients have by now are taken (for half of `deadlineMs` at
 * most), later ones refused; each open one is told to close with its next answer, the one under way included; when no
 * request has come for `idleMs`, what is idle is closed. (Fastify's own `close()` closes idle connections at once, and a
 * request that crosses it on the wire is lost; one whose answer was under way then stays open for the whole keep-alive
 * time.) What is not answered `deadlineMs` after the call, such as a request of which only half arrived, or a TLS handshake
 * that does not go on, is cut off.
 */
export async function drainHttpServer(
  app: FastifyInstance,
  { idleMs = 500, deadlineMs = DRAIN_MS }: { idleMs?: number; deadlineMs?: number } = {},
): Promise<void> {
  const untilMs = performance.now() + deadlineMs;
  // One that just had no processor was seen to need more than half a second.
  await acceptWaiting(app.server, deadlineMs / 2);
  // Not before: clients whose connections are closed make others, which could come just when the port is closed.
  draining.add(app.server);
  // http.Server's close() would close idle connections too; net.Server's only stops listening.
  const closed = new Promise<void>((resolve) => {
    TcpServer.prototype.close.call(app.server, () => resolve());
  });
  await quiet(app.server, { closed, idleMs, untilMs: untilMs - idleMs });
  // What has come, but was not read yet, makes its connection no idle one.
  await nextTurn();
  const stopped = app.close();
  if (!(await within(untilMs - performance.now(), stopped))) cutOff(app.server);
  await stopped;
}

/**
 * Resolves when no request has come for `idleMs`, all connections are closed, or it is `untilMs`. Clients that send
 * steadily use up what they have open, one with each answer; to close those under them would reset some requests.
 */
async function quiet(
  server: TcpServer,
  { closed, idleMs, untilMs }: { closed: Promise<void>; idleMs: number; untilMs: number },
): Promise<void> {
  let idleFromMs = performance.now();
  const onRequest = () => {
    idleFromMs = performance.now();
  };
  server.on('request', onRequest);
  for (let leftMs = idleMs; leftMs > 0; ) {
    if (await within(leftMs, closed)) break;
    leftMs = Math.min(idleFromMs + idleMs, untilMs) - performance.now();
  }
  server.off('request', onRequest);
}

/** A body without a length that is answered before its end could go on for as long as a request may take. */
function isBodyUnread({ headers, raw }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined && !raw.complete;
}

/** The servers whose answers close their connections. */
const draining = new WeakSet<TcpServer>();

const CLIENT_ERROR_STATUS: Record<string, number> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

/** Answers what is not HTTP, and so never reaches a route, behind what came whole before it, and closes its connection. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy(error);
    return;
  }
  dropInput(socket);
  const answer = malformedAnswer(CLIENT_ERROR_STATUS[error.code ?? ''] ?? 400);
  afterRequests(() => {
    const before = unansweredOn(socket).findLast(({ req }) => req.complete);
    // Unless the answer before closes the connection.
    const end = () => socket.writable && !isClosing(socket) && endInStages(socket, answer);
    if (before) before.once('close', end);
    else end();
  });
}

/** `CONNECT`, which no route could take: its target is no path. */
function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  // Node has taken its own listener away, and a reset unheard would end the process.
  socket.on('error', () => {}).resume();
  endInStages(socket as Socket, malformedAnswer(501));
}

function malformedAnswer(status: number): string {
  const body = JSON.stringify({ ...problemFor('invalid-request', STATUS_CODES[status]), status });
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n` +
    `content-type: application/problem+json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  );
}

/** `Expect: 100-continue`, told to go on when its turn has come. Node writes it at once, also into the answer before. */
function sendContinue(this: Server, request: IncomingMessage, response: ServerResponse): void {
  if (response.socket) response.writeContinue();
  else response.once('socket', () => response.headersSent || response.writeContinue());
  this.emit('request', request, response);
}

/** An `Expect` that is not `100-continue` (RFC 9110, section 10.1.1). */
function refuseExpectation({ headers, socket }: IncomingMessage, response: ServerResponse): void {
  closeInStages(socket);
  const problem = problemFor('invalid-request', `the expectation ${headers.expect} cannot be met`);
  response.writeHead(417, { 'content-type': 'application/problem+json', connection: 'close' });
  response.end(JSON.stringify({ ...problem, status: 417 }));
}

const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
};

function fromFastifyError(error: unknown, log: FastifyBaseLogger): AppError {
  if (error instanceof AppError) return error;
  const { code, statusCode, message } = (error ?? {}) as FastifyError;
  const known = FASTIFY_CODES[code];
  if (known) return new AppError(known, message, { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new AppError('invalid-request', message, { cause: error });
  return toPublicError(error, log);
}
