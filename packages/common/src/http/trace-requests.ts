/**
 * The SERVER span and the duration of each request to a public server of ours, by OpenTelemetry's conventions for HTTP 1.45.
 *
 * The instrumentation of `node:http` makes the same for any server, and binds each listener of a request and of its answer to the
 * context of the span, which is dear. Here it is entered once, before all that Fastify does; Fastify keeps it while a body is read.
 */
import { EventEmitter } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import {
  type Attributes,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { namedByClient } from '../telemetry/edge-trace.ts';
import { isExported } from '../telemetry/exported-signals.ts';
import { failedSpan } from '../telemetry/failed-spans.ts';
import { requestDuration } from '../telemetry/metrics.ts';
import { traceResponseOf } from '../telemetry/server-span.ts';
import { describeSpan, findTracer } from '../telemetry/tracing.ts';

export type RequestTracing = {
  /** Where a request comes from. */
  clientAddressOf(request: FastifyRequest): string;
};

/**
 * Has every request to `app` traced and measured, but for questions about health and for upgrades, whose connection is no request any
 * more. A client is told of the trace by `traceresponse`. Does nothing where neither traces nor metrics are exported. To be called
 * before hooks are added.
 */
export function traceRequests(app: FastifyInstance, { clientAddressOf }: RequestTracing): void {
  if (!isExported('traces') && !isExported('metrics')) return;
  const tracer = findTracer();

  app.addHook('onRequest', (request, reply, done) => {
    if (isUpgrade(request) || request.url.startsWith('/health/')) return done();
    const startedMs = performance.now();
    const measured = measuredOf(request);
    const traced = tracer && startSpan(tracer, request, measured, clientAddressOf(request));
    reply.raw.on('close', () => end(reply.raw, { startedMs, measured, traced }));
    if (!traced) return done();
    reply.header('traceresponse', traceResponseOf(traced.span));
    context.with(trace.setSpan(ROOT_CONTEXT, traced.span), done);
  });
}

/**
 * Has the instrumentation of `node:http`, which wraps the `emit` that all servers share, leave this one alone. A listener's handlers
 * may have servers of their own, which are instrumented as ever.
 */
export function leaveUninstrumented(server: Server): void {
  server.emit = EventEmitter.prototype.emit;
}

/** Node says so of the requests that leave HTTP. */
function isUpgrade({ raw }: FastifyRequest): boolean {
  return (raw as { upgrade?: boolean | null }).upgrade === true;
}

type TracedRequest = {
  startedMs: number;
  /** What its duration is counted under, which its span says as well. */
  measured: Attributes;
  /** Undefined where metrics alone are exported. */
  traced: TracedSpan | undefined;
};

type TracedSpan = {
  span: Span;
  /** The one to be ended when the request has failed. */
  failed(): Span;
};

/** Without a route where none takes it: a path is a client's choice. */
function measuredOf({ method, protocol, raw, routeOptions: { url: route } }: FastifyRequest): Attributes {
  return {
    'http.request.method': METHODS.has(method) ? method : '_OTHER',
    'url.scheme': protocol,
    'network.protocol.version': raw.httpVersion,
    ...(route !== undefined && { 'http.route': route }),
  };
}

/** Those that the conventions know; any other would be a client's choice. */
const METHODS: ReadonlySet<string> = new Set(
  'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY'.split(' '),
);

function startSpan(
  tracer: Tracer,
  request: FastifyRequest,
  measured: Attributes,
  clientAddress: string,
): TracedSpan {
  const named = namedByClient(request.headers);
  const links: Link[] | undefined = named && [{ context: named }];
  const options = { kind: SpanKind.SERVER, links };
  const start = { tracer, name: nameOf(measured), options, parent: ROOT_CONTEXT, startedMs: Date.now() };
  const span = tracer.startSpan(start.name, options, ROOT_CONTEXT);
  const describe = (each: Span) =>
    describeSpan(each, { ...measured, ...attributesOf(request, clientAddress) });
  if (span.isRecording()) describe(span);
  return { span, failed: () => failedSpan(span, start, describe) };
}

function attributesOf({ url, headers, socket }: FastifyRequest, clientAddress: string): Attributes {
  const [path, query] = url.split('?', 2);
  const [, serverAddress, port] = HOST.exec(headers.host ?? '') ?? [];
  return {
    'url.path': path,
    'url.query': query?.replace(TICKET, 'ticket=REDACTED'),
    'server.address': serverAddress,
    'server.port': port === undefined ? undefined : Number(port),
    'client.address': clientAddress,
    'network.peer.address': socket.remoteAddress,
    'network.peer.port': socket.remotePort,
    'user_agent.original': headers['user-agent'],
  };
}

function nameOf({ 'http.request.method': method, 'http.route': route }: Attributes): string {
  const name = method === '_OTHER' ? 'HTTP' : String(method);
  return route === undefined ? name : `${name} ${route}`;
}

const HOST = /^(.+?)(?::(\d{1,5}))?$/;
/** It stands for a key, if only for a moment. */
const TICKET = /(?<=^|&)ticket=[^&]*/g;

/** An answer that was not begun has no status: its client has gone. */
function end(
  { headersSent, statusCode }: ServerResponse,
  { startedMs, measured, traced }: TracedRequest,
): void {
  const outcome: Attributes = headersSent ? { 'http.response.status_code': statusCode } : {};
  const isFailed = headersSent && statusCode >= 500;
  if (isFailed) outcome['error.type'] = String(statusCode);
  const span = isFailed ? traced?.failed() : traced?.span;
  if (isFailed) span?.setStatus({ code: SpanStatusCode.ERROR });
  span?.setAttributes(outcome).end();
  requestDuration.record((performance.now() - startedMs) / 1000, { ...measured, ...outcome });
}
