/**
 * A gRPC server with what its users expect beside the service: `grpc.health.v1`, and reflection, so that `grpcurl`
 * needs no proto files.
 *
 * A handler that throws, or returns a promise that rejects, ends its own call with INTERNAL and no word of what happened,
 * which goes to the log. grpc-js leaves a rejection unhandled, and so would end the process.
 */
import { type EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, type Server as TcpServer } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import type { Logger } from 'pino';
import { acceptFirst } from '../http/accept-first.ts';
import { cutOff, keepSockets } from '../http/open-sockets.ts';
import type { KeyPair } from '../http/tls.ts';
import { toPublicError } from '../public-error.ts';
import { within } from '../within.ts';
import { createCallBounds } from './grpc-bounds.ts';
import { createGrpcHealth } from './grpc-health.ts';
import { addReflection } from './grpc-reflection.ts';

/** Connections at once; one more is closed. */
const MAX_CONNECTIONS = 1_000;
/** Calls at once on one connection; more wait. */
const MAX_CONCURRENT_STREAMS = 100;
/** A connection without calls is closed after this. */
const MAX_IDLE_MS = 5 * 60_000;
/** A peer that is gone without a word is noticed after both. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/**
 * What Node ends a connection for, with every call on it, in calls that are given up or refused. One connection may carry the calls of
 * many, that of a proxy or of another site, who give up together when that is slow: twice as many at once as there may be, then as
 * many in a second. No more: a stream that is reset is none of those at once, so this alone bounds what a connection can start and
 * give up (CVE-2023-44487). Node's defaults are 1,000 and 33.
 *
 * Refused are those beyond the bound, which a client keeps, but that Node counts calls that were given up a moment longer: a hundred
 * times as many as there may be at once, in the life of a connection. Node's default is 100.
 */
const patienceFor = (maxConcurrentStreams: number) => ({
  streamResetBurst: Math.max(1_000, 2 * maxConcurrentStreams),
  streamResetRate: maxConcurrentStreams,
  maxSessionRejectedStreams: 100 * maxConcurrentStreams,
});

export type GrpcServer = {
  port: number;
  /** Takes no more calls, lets those under way end, and cuts off what is left after `deadlineMs` (default 1 s). */
  close(deadlineMs?: number): Promise<void>;
};

/** One service of a server: `package.Service`, the definition that has it, and its handlers. */
export type GrpcService = {
  name: string;
  definition: PackageDefinition;
  implementation: UntypedServiceImplementation;
};

/**
 * Starts a server for `services`; plaintext, unless `tls` is given.
 *
 * `isServing` decides what `grpc.health.v1` says of the server and of each service. `maxReceiveBytes` and
 * `maxSendBytes` bound a message; gRPC's own default is 4 MB in, and no bound out. What calls can hold besides is bounded
 * by {@link createCallBounds}.
 *
 * @throws an error with `code` EADDRINUSE (or another), `address` and `port`, when it cannot listen there.
 */
export async function createGrpcServer({
  services,
  host,
  port,
  tls,
  clientCa,
  isServing,
  maxReceiveBytes,
  maxSendBytes,
  maxConnections = MAX_CONNECTIONS,
  maxConcurrentStreams = MAX_CONCURRENT_STREAMS,
  log,
  ...bounds
}: Parameters<typeof createCallBounds>[0] & {
  services: readonly GrpcService[];
  host: string;
  port: number;
  tls?: KeyPair;
  /** Authorities, as PEM, of the certificates that callers have to show; with `tls` only. */
  clientCa?: string | undefined;
  isServing(): boolean;
  maxReceiveBytes: number;
  maxSendBytes?: number;
  /** Connections at once (default 1,000); one more is closed. */
  maxConnections?: number;
  /** Calls at once on one connection (default 100); more wait. */
  maxConcurrentStreams?: number;
  /** Gets what a failed handler threw. */
  log: Logger;
}): Promise<GrpcServer> {
  const callBounds = createCallBounds(bounds);
  const health = createGrpcHealth({ services: services.map(({ name }) => name), isServing });
  const server = new Server({
    interceptors: [callBounds.interceptor, health.interceptor],
    'grpc.max_receive_message_length': maxReceiveBytes,
    'grpc.max_send_message_length': maxSendBytes,
    'grpc.max_concurrent_streams': maxConcurrentStreams,
    // Counts of every call that nobody reads.
    'grpc.enable_channelz': 0,
    'grpc.max_connection_idle_ms': MAX_IDLE_MS,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  });
  // Private to grpc-js, which passes on no option of Node's for it.
  Object.assign(Reflect.get(server, 'commonServerOptions'), patienceFor(maxConcurrentStreams));
  for (const { name, definition, implementation } of services)
    server.addService(definition[name] as ServiceDefinition, guard(implementation, log));
  health.addTo(server);
  addReflection(
    server,
    services.map(({ definition }) => definition),
  );
  const listening = await listen(server, { host, port, tls, clientCa, maxConnections });

  return {
    port: (listening.address() as AddressInfo).port,
    async close(deadlineMs = 1_000) {
      health.close();
      callBounds.close();
      // Once its connections are closed too, which those of another server are to `tryShutdown` at once.
      const ended = new Promise<void>((resolve) => listening.close(() => resolve()));
      server.tryShutdown(() => {});
      if (await within(deadlineMs, ended)) return;
      server.forceShutdown();
      cutOff(listening);
    },
  };
}

/** Answers for handlers that fail: those of unary calls and client streams have a callback, the others write to the call. */
function guard(implementation: UntypedServiceImplementation, log: Logger): UntypedServiceImplementation {
  const guarded = Object.entries(implementation).map(([method, handler]) => {
    const handle = (call: EventEmitter, callback?: sendUnaryData<unknown>) => {
      const answer = callback && answerOnce(callback);
      const fail = (error: unknown) => {
        const details = toPublicError(error, log, { method }).message;
        const refusal = { code: status.INTERNAL, details };
        if (answer) answer(refusal);
        else call.emit('error', refusal);
      };
      try {
        const handled: unknown = Reflect.apply(handler, implementation, [call, answer]);
        if (handled instanceof Promise) handled.catch(fail);
      } catch (error) {
        fail(error);
      }
    };
    return [method, handle];
  });
  return Object.fromEntries(guarded);
}

/** A handler that answers and then throws must not answer twice. */
function answerOnce(callback: sendUnaryData<unknown>): sendUnaryData<unknown> {
  let isCalled = false;
  return (...answer) => {
    if (!isCalled) callback(...answer);
    isCalled = true;
  };
}

/** A server of our own, because grpc-js does not bound the connections of its own. */
async function listen(
  server: Server,
  {
    host,
    port,
    tls,
    clientCa,
    maxConnections,
  }: {
    host: string;
    port: number;
    tls: KeyPair | undefined;
    clientCa: string | undefined;
    maxConnections: number;
  },
): Promise<TcpServer> {
  const credentials = tls
    ? ServerCredentials.createSsl(
        clientCa === undefined ? null : Buffer.from(clientCa),
        [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
        clientCa !== undefined,
      )
    : ServerCredentials.createInsecure();
  const injector = server.createConnectionInjector(credentials);
  const listening = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    injector.injectConnection(socket);
  });
  listening.maxConnections = maxConnections;
  keepSockets(listening);
  acceptFirst(listening);
  listening.listen({ port, host, backlog: maxConnections });
  await once(listening, 'listening');
  // A connection that cannot be accepted, as no more files may be open, must not end the process.
  return listening.on('error', () => {});
}
