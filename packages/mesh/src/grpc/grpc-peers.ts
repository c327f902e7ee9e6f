/**
 * Peers over gRPC. What matters here is what is proof that a call did not run: that there was no connection to send it on, or that
 * the peer refused its stream (RFC 9113, section 8.7), or the call before any handler. Everything else may have run.
 */
import { createSecureContext } from 'node:tls';
import { Channel, credentials, Metadata, type MethodDefinition, status } from '@grpc/grpc-js';
import { AppError, type ErrorCode } from '@waybill/common/errors.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import type { KeyPair } from '@waybill/common/http/tls.ts';
import { startGrpcClientSpan } from '@waybill/common/telemetry/grpc-client-span.ts';
import type { ConnectRequest, ConnectResponse, ServeRequest, ServeResponse, Status } from '../messages.ts';
import { FAILED, failure } from '../messages.ts';
import type { CallOptions } from '../methods.ts';
import type { OpenPeer } from '../peer.ts';
import { MAX_CALL_BYTES } from './collector-service.ts';
import { createConnected } from './connected.ts';
import { callOn, type End, isRefused, type UnaryCall } from './unary-call.ts';

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
/** Characters of what a peer gives for a reason. */
const MAX_DETAILS_LENGTH = 200;
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
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

// With bytes in, and the types of what is generated out: their codes are those of our own statuses alone.
const { Serve, Connect } = loadPackage('collector.proto').collector.CollectiveDispatcher
  .service as unknown as {
  Serve: MethodDefinition<ServeRequest, Partial<ServeResponse>>;
  Connect: MethodDefinition<ConnectRequest, Partial<ConnectResponse>>;
};

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
    // Without the scheme a host named unix or ipv4 would be one.
    const channel = new Channel(`dns:${address}`, security, {
      ...OPTIONS,
      'grpc.max_receive_message_length': maxReceiveBytes,
    });
    const ofCaller = new Metadata();
    if (key !== undefined) ofCaller.set('authorization', `Bearer ${key}`);
    const make = (call: UnaryCall) => callOn(channel, address, call);
    const connected = createConnected(channel, onDropped);

    /** The time by which a call ends, once there is a connection to make it on. */
    async function ready({ deadlineMs, signal }: CallOptions): Promise<number> {
      const deadline = Date.now() + deadlineMs;
      if (!connected.isUp()) {
        await connected.comesUp(Math.min(CONNECT_MS, deadlineMs));
        if (connected.isClosed()) throw new AppError('not-accepted', 'the peer is called no more');
      }
      if (signal?.aborted) throw new AppError('not-accepted', 'the caller has gone');
      connected.watch();
      return deadline;
    }

    return {
      async serve(request, options) {
        const deadline = await ready(options);
        const { path } = Serve;
        const message = sendable(Serve.requestSerialize(request));
        const metadata = ofCaller.clone();
        const span = startGrpcClientSpan(path, metadata);
        const end = await make({ path, message, metadata, deadline, signal: options.signal });
        span.end(end.status);
        return withStatus(Serve.responseDeserialize(answerIn(end))) as ServeResponse;
      },
      async connect(request, options) {
        const deadline = await ready(options);
        const { path } = Connect;
        const message = sendable(Connect.requestSerialize(request));
        const end = await make({ path, message, metadata: ofCaller.clone(), deadline });
        return withStatus(Connect.responseDeserialize(answerIn(end))) as ConnectResponse;
      },
      async check(options) {
        const deadline = await ready(options);
        const call = { path: CHECK, message: EMPTY, metadata: ofCaller.clone(), deadline };
        const { status } = await make(call);
        if (SILENT.has(status.code)) throw toPeerError(status);
      },
      close() {
        connected.close();
        channel.close();
      },
    };
  };
}

const EMPTY = Buffer.alloc(0);

/** What is larger is not sent: were it refused there, it may have run for all that is known. @throws AppError `too-large` */
function sendable(message: Buffer): Buffer {
  if (message.length <= MAX_MESSAGE_BYTES) return message;
  throw new AppError('too-large', `a call may have ${MAX_MESSAGE_BYTES} bytes, and this one has more`);
}

/** @throws AppError as {@link Peer} says, where there is no answer. */
function answerIn({ status: ended, answer }: End): Buffer {
  if (ended.code !== status.OK) throw toPeerError(ended);
  if (!answer) throw new AppError('unexpected', 'the peer answered with nothing');
  return answer;
}

function toPeerError(ended: End['status']): AppError {
  return new AppError(meaningOf(ended), ended.details.slice(0, MAX_DETAILS_LENGTH));
}

function meaningOf(ended: End['status']): ErrorCode {
  if (REFUSED.has(ended.code) || isRefused({ status: ended })) return 'not-accepted';
  return SILENT.has(ended.code) ? 'outcome-unknown' : 'unexpected';
}

/** A peer that says nothing of what became of a call has failed it. */
function withStatus(answer: { status?: Status | null }): object {
  return { ...answer, status: answer.status ?? failure(FAILED, 'the peer answered without a status') };
}
