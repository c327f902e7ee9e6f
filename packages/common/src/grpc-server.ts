/**
 * A gRPC server with what its users expect beside the service: `grpc.health.v1`, and reflection, so that `grpcurl`
 * needs no proto files.
 *
 * A handler that throws, or returns a promise that rejects, ends its own call with INTERNAL and no word of what happened,
 * which goes to the log. grpc-js leaves a rejection unhandled, and so would end the process.
 */
import {
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { HealthImplementation } from 'grpc-health-check';
import type { Logger } from 'pino';
import { addReflection } from './grpc-reflection.ts';
import { toPublicError } from './public-error.ts';
import type { KeyPair } from './tls.ts';
import { within } from './within.ts';

/** How often health is brought up to date. */
const HEALTH_INTERVAL_MS = 500;
/** Calls at once on one connection; more wait. */
const MAX_CONCURRENT_STREAMS = 1_000;
/** A connection without calls is closed after this. */
const MAX_IDLE_MS = 5 * 60_000;
/** A peer that is gone without a word is noticed after both. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

export type GrpcServer = {
  port: number;
  /** Takes no more calls, lets those under way end, and cuts off what is left after `deadlineMs` (default 1 s). */
  close(deadlineMs?: number): Promise<void>;
};

/**
 * Starts a server for `service` (`package.Service`) of `definition`; plaintext, unless `tls` is given.
 *
 * `isServing` decides what `grpc.health.v1` says of the server and of the service. `maxReceiveBytes` and
 * `maxSendBytes` bound a message; gRPC's own default is 4 MB in, and no bound out.
 *
 * @throws an error with `code` EADDRINUSE (or another), `address` and `port`, when it cannot listen there.
 */
export async function createGrpcServer({
  definition,
  service,
  implementation,
  host,
  port,
  tls,
  isServing,
  maxReceiveBytes,
  maxSendBytes,
  log,
}: {
  definition: PackageDefinition;
  service: string;
  implementation: UntypedServiceImplementation;
  host: string;
  port: number;
  tls?: KeyPair;
  isServing(): boolean;
  maxReceiveBytes: number;
  maxSendBytes?: number;
  /** Gets what a failed handler threw. */
  log: Logger;
}): Promise<GrpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': maxReceiveBytes,
    'grpc.max_send_message_length': maxSendBytes,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    'grpc.max_connection_idle_ms': MAX_IDLE_MS,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    // Another process on the port must be an error, and not share its calls.
    'grpc.so_reuseport': 0,
  });
  server.addService(definition[service] as ServiceDefinition, guard(implementation, log));
  const stopHealth = addHealth(server, service, isServing);
  addReflection(server, definition);
  const bound = await listen(server, { host, port, tls });

  return {
    port: bound,
    async close(deadlineMs = 1_000) {
      stopHealth();
      const ended = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      if (!(await within(deadlineMs, ended))) server.forceShutdown();
    },
  };
}

type Call = ServerWritableStream<unknown, unknown>;
type Callback = (error: unknown, ...rest: unknown[]) => void;
/** A handler of either kind: with a callback for one answer, or writing to the call. */
type Handler = (call: Call, callback?: Callback) => unknown;

/** Answers for handlers that fail. */
function guard(implementation: UntypedServiceImplementation, log: Logger): UntypedServiceImplementation {
  const guarded = Object.entries(implementation).map(([method, handler]) => {
    const handle: Handler = async (call, callback) => {
      const answer = callback && once(callback);
      try {
        await (handler as unknown as Handler).call(implementation, call, answer);
      } catch (error) {
        const details = toPublicError(error, log, { method }).message;
        const refusal = { code: status.INTERNAL, details };
        if (answer) answer(refusal);
        else call.emit('error', refusal);
      }
    };
    return [method, handle];
  });
  return Object.fromEntries(guarded);
}

/** A handler that answers and then throws must not answer twice. */
function once(callback: Callback): Callback {
  let isCalled = false;
  return (...answer) => {
    if (!isCalled) callback(...answer);
    isCalled = true;
  };
}

/** Returns what makes both NOT_SERVING for good, and ends the calls that watch them: `close` would wait for those. */
function addHealth(server: Server, service: string, isServing: () => boolean): () => void {
  const health = new HealthImplementation();
  const watching = new Set<Call>();
  let wasUp: boolean | undefined;
  function set(isUp: boolean): void {
    // Every setStatus is a message to those who watch, whether or not it changed.
    if (isUp === wasUp) return;
    wasUp = isUp;
    for (const name of ['', service]) health.setStatus(name, isUp ? 'SERVING' : 'NOT_SERVING');
  }
  set(isServing());
  const timer = setInterval(() => set(isServing()), HEALTH_INTERVAL_MS).unref();
  health.addToServer({
    addService: (definition: ServiceDefinition, { watch, ...others }: UntypedServiceImplementation) => {
      const trackedWatch = (call: Call) => {
        watching.add(call);
        call.once('cancelled', () => watching.delete(call));
        (watch as unknown as Handler)(call);
      };
      server.addService(definition, { ...others, watch: trackedWatch as unknown as Handler as never });
    },
  } as unknown as Server);
  return () => {
    clearInterval(timer);
    set(false);
    for (const call of watching) call.end();
  };
}

async function listen(
  server: Server,
  { host, port, tls }: { host: string; port: number; tls: KeyPair | undefined },
): Promise<number> {
  const address = host.includes(':') ? `[${host}]` : host;
  const credentials = tls
    ? ServerCredentials.createSsl(null, [
        { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
      ])
    : ServerCredentials.createInsecure();
  return await new Promise((resolve, reject) =>
    server.bindAsync(`${address}:${port}`, credentials, (error, bound) =>
      error ? reject(toListenError(error, host, port)) : resolve(bound),
    ),
  );
}

/** grpc-js tells the reason in words only. */
function toListenError(error: Error, address: string, port: number): Error {
  const code = /\bE[A-Z]{4,}\b/.exec(error.message)?.[0];
  return Object.assign(new Error(error.message, { cause: error }), { code, address, port });
}
