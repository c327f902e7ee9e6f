/**
 * Peers over gRPC. What matters here is what is proof that a call did not run: that there was no connection to send it on, or that
 * the peer refused its stream (RFC 9113, section 8.7), or the call before any handler. Everything else may have run.
 */
import { createSecureContext } from 'node:tls';
import {
  type Client,
  type ClientUnaryCall,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { AppError, type ErrorCode, toAppError } from '@waybill/common/errors.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import type { KeyPair } from '@waybill/common/http/tls.ts';
import { untraced } from '@waybill/common/telemetry/tracing.ts';
import type { ConnectRequest, ConnectResponse, ServeRequest, ServeResponse } from '../messages.ts';
import { FAILED, failure } from '../messages.ts';
import type { CallOptions } from '../methods.ts';
import type { OpenPeer } from '../peer.ts';
import { MAX_CALL_BYTES } from './collector-service.ts';

/** How long a connection may take to be made. */
const CONNECT_MS = 2_000;
const CHECK = '/grpc.health.v1.Health/Check';

/** What a call ends with before any handler. */
const REFUSED: ReadonlySet<status> = new Set([
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);
/** Where there is nobody, or nobody who answers; with any other status somebody has. */
const SILENT: ReadonlySet<status> = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED]);
/** How grpc-js words that a call was never sent, and that the peer took none of it. It has no other sign of them. */
const NOT_SENT = /^(?:No connection established|Channel closed before call started|Stream refused by server)/;
/** How it words that a message is larger than `grpc.max_send_message_length`. */
const TOO_LARGE = /^Attempted to send message with a size larger than/;
/** What gRPC takes by default, and so a peer that knows the contract alone. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

const OPTIONS = {
  // A peer that is opened again must not get the half-open connection of before.
  'grpc.use_local_subchannel_pool': 1,
  // Meant for the web: a proxy that the environment names would get what is for peers.
  'grpc.enable_http_proxy': 0,
  // A name's owner could have calls that may have run sent again.
  'grpc.service_config_disable_resolution': 1,
  // Counts of every call that nobody reads.
  'grpc.enable_channelz': 0,
  // What is refused there may have run for all that is known; what is not sent has not.
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

const { CollectiveDispatcher } = loadPackage('collector.proto').collector;

type Callback<Answer> = (error: ServiceError | null, answer?: Answer) => void;
type Start<Answer> = (
  metadata: Metadata,
  options: { deadline: number },
  callback: Callback<Answer>,
) => ClientUnaryCall;

/** How a peer is called. */
export type PeerAccess = {
  /** The API key that is shown to it. */
  key?: string;
  /** Whether by TLS, whose certificate has to be for the host in its address. */
  tls?: boolean | undefined;
};

/** Opens peers over gRPC; by default plaintext, and without a key. `keyPair` is shown to peers that ask for a certificate. */
export function createGrpcPeers({
  accessOf = () => ({}),
  keyPair,
  maxReceiveBytes = MAX_CALL_BYTES,
}: {
  accessOf?(address: string): PeerAccess;
  keyPair?: KeyPair | undefined;
  /** Most bytes of an answer (default 4 MiB). */
  maxReceiveBytes?: number;
} = {}): OpenPeer {
  return (address, onDropped) => {
    const { key, tls } = accessOf(address);
    // Not createSsl: variables of gRPC's own would decide there which authorities are trusted.
    const security = tls
      ? credentials.createFromSecureContext(createSecureContext(keyPair))
      : credentials.createInsecure();
    const client = new CollectiveDispatcher(address, security, {
      ...OPTIONS,
      'grpc.max_receive_message_length': maxReceiveBytes,
    });
    const metadata = new Metadata();
    if (key !== undefined) metadata.set('authorization', `Bearer ${key}`);
    const connected = createConnected(client, onDropped);

    async function call<Answer>(start: Start<Answer>, { deadlineMs, signal }: CallOptions): Promise<Answer> {
      const deadline = Date.now() + deadlineMs;
      if (!connected.isUp()) {
        await connected.comesUp(Math.min(CONNECT_MS, deadlineMs));
        if (connected.isClosed()) throw new AppError('not-accepted', 'the peer is called no more');
      }
      if (signal?.aborted) throw new AppError('not-accepted', 'the caller has gone');
      connected.watch();
      return answerOf((callback) => start(metadata.clone(), { deadline }, callback), signal);
    }

    return {
      // With bytes in, and the types of what is generated out: their codes are those of our own statuses alone.
      serve: async (request, options) =>
        withStatus(
          await call<unknown>((...args) => client.Serve(request as ServeRequest, ...args), options),
        ) as ServeResponse,
      connect: (request, options) =>
        untraced(
          async () =>
            withStatus(
              await call<unknown>((...args) => client.Connect(request as ConnectRequest, ...args), options),
            ) as ConnectResponse,
        ),
      check: (options) =>
        untraced(async () => {
          try {
            await call<unknown>(
              (...args) => client.makeUnaryRequest(CHECK, () => EMPTY, String, undefined, ...args),
              options,
            );
          } catch (thrown) {
            const cause = toAppError(thrown).cause as Partial<ServiceError> | undefined;
            if (cause?.code === undefined || SILENT.has(cause.code)) throw thrown;
          }
        }),
      close() {
        connected.close();
        client.close();
      },
    };
  };
}

const EMPTY = Buffer.alloc(0);

/** Resolves with the answer; rejects as {@link Peer} says. */
function answerOf<Answer>(
  start: (callback: Callback<Answer>) => ClientUnaryCall,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const cancel = () => call.cancel();
    const call = start((error, answer) => {
      signal?.removeEventListener('abort', cancel);
      if (error) reject(toPeerError(error));
      else resolve(answer as Answer);
    });
    signal?.addEventListener('abort', cancel);
  });
}

function toPeerError(error: ServiceError): AppError {
  return new AppError(meaningOf(error), error.details, { cause: error });
}

function meaningOf({ code, details }: ServiceError): ErrorCode {
  if (REFUSED.has(code) || (code === status.UNAVAILABLE && NOT_SENT.test(details))) return 'not-accepted';
  if (code === status.RESOURCE_EXHAUSTED && TOO_LARGE.test(details)) return 'too-large';
  return SILENT.has(code) ? 'outcome-unknown' : 'unexpected';
}

/** A peer that says nothing of what became of a call has failed it. */
function withStatus(answer: unknown): object {
  const given = answer as { status: object | null };
  return { ...given, status: given.status ?? failure(FAILED, 'the peer answered without a status') };
}

/** The connection of a client: whether it is up, when it comes up, and when it is lost. */
function createConnected(client: Client, onDropped: () => void) {
  const channel = client.getChannel();
  let isClosed = false;
  let isWatched = false;

  return {
    /** Begins to connect where it is not. */
    isUp: () => channel.getConnectivityState(true) === connectivityState.READY,
    /** @throws AppError `not-accepted` as soon as nobody can be reached, or after `deadlineMs`. */
    comesUp: (deadlineMs: number) => untilReady(channel, Date.now() + deadlineMs),
    /** Has `onDropped` called when the connection, which is up, is lost. */
    watch(): void {
      if (isWatched) return;
      isWatched = true;
      channel.watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, () => {
        isWatched = false;
        if (!isClosed) onDropped();
      });
    },
    isClosed: () => isClosed,
    close() {
      isClosed = true;
    },
  };
}

type Channel = ReturnType<Client['getChannel']>;

function untilReady(channel: Channel, deadline: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return resolve();
      if (state === connectivityState.SHUTDOWN || state === connectivityState.TRANSIENT_FAILURE)
        return reject(new AppError('not-accepted', 'no connection can be made'));
      channel.watchConnectivityState(state, deadline, (error) => {
        if (error) reject(new AppError('not-accepted', 'no connection is made in time'));
        else look();
      });
    };
    look();
  });
}
