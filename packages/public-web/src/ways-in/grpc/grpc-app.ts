/** The public gRPC port: `data_dispatcher_service.DataDispatcherService`, health and reflection. */
import { type Metadata, type ServerUnaryCall, status } from '@grpc/grpc-js';
import { AppError, type ErrorCode } from '@waybill/common/errors.ts';
import type { DataDispatcherServiceHandlers } from '@waybill/common/grpc/generated/data_dispatcher_service/DataDispatcherService.ts';
import type { CallRefusal } from '@waybill/common/grpc/grpc-bounds.ts';
import { createGrpcServer } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import type { Readiness } from '@waybill/common/http/http-server.ts';
import type { KeyPair } from '@waybill/common/http/tls.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import { linkInboundGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import type { Logger } from 'pino';
import { type Admit, type Caller, shownKey } from '../../admission/admission.ts';
import type { AcceptClient } from '../../core/accept-client.ts';
import type { WaitingClient } from '../../core/ask.ts';
import { ACCEPTED } from '../http/post-client.ts';

/** A request has six fields of 255 characters at most. */
const MAX_RECEIVE_BYTES = 16 * 1024;
const SERVICE = 'data_dispatcher_service.DataDispatcherService';
const NOTIFY = `/${SERVICE}/NotifyNewClient`;

/** Both messages of the service that are answers. */
type Answer = { status: string; message: string };

export type GrpcAppOptions = {
  admit: Admit;
  acceptClient: AcceptClient;
  readiness: Readiness;
  log: Logger;
  host: string;
  port: number;
  /** Connections at once; one more is closed. */
  maxConnections: number;
  tls?: KeyPair;
};

/**
 * Listens. The gRPC status of whoever is admitted is OK in every case, as the contract has it: what went wrong is in the
 * answer, `ERROR` with the reason. Others are told by it: UNAUTHENTICATED, PERMISSION_DENIED, or RESOURCE_EXHAUSTED;
 * never if neither API keys nor a rate limit are set. They are told before their message is read. `close` lets calls
 * under way be answered.
 */
export function createGrpcApp({ admit, acceptClient, readiness, log, ...listenOptions }: GrpcAppOptions) {
  /** Of the calls that are admitted, by what their handlers see of the headers. */
  const callers = new WeakMap<Metadata, Caller>();

  async function accept(call: ServerUnaryCall<unknown, Answer>): Promise<Answer> {
    const apiKeyId = callers.get(call.metadata)?.apiKeyId;
    try {
      await acceptClient(call.request, {
        onGone: callerGone(call),
        log: apiKeyId === undefined ? log : log.child({ api_key_id: apiKeyId }),
      });
      return ACCEPTED;
    } catch (thrown) {
      return { status: 'ERROR', message: toPublicError(thrown, log).message };
    }
  }

  const implementation: DataDispatcherServiceHandlers = {
    NotifyNewClient(call, callback) {
      linkInboundGrpcTrace();
      return accept(call).then((answer) => callback(null, answer));
    },
    HealthCheck(_call, callback) {
      callback(null, toHealth(readiness()));
    },
  };

  return createGrpcServer({
    definition: loadProto('data_dispatcher_service.proto'),
    service: SERVICE,
    implementation,
    ...listenOptions,
    // Health and reflection stay open.
    admit({ path, metadata, peer }) {
      if (path !== NOTIFY) return undefined;
      const caller = admitCall(admit, metadata, peer, log);
      if (caller instanceof AppError) return toRefusal(caller);
      callers.set(metadata, caller);
      return undefined;
    },
    maxReceiveBytes: MAX_RECEIVE_BYTES,
    isServing: () => readiness() === undefined,
    log,
  });
}

/** Whoever may make the call, or why not. */
function admitCall(admit: Admit, metadata: Metadata, peer: string, log: Logger): Caller | AppError {
  const [authorization] = metadata.get('authorization');
  const [apiKey] = metadata.get('x-api-key');
  // `<address>:<port>`, an IPv6 address without brackets.
  const address = peer.replace(/:\d+$/, '');
  try {
    const caller = admit({ key: shownKey(authorization, apiKey), address });
    caller.assertMayAddClients();
    return caller;
  } catch (thrown) {
    return toPublicError(thrown, log);
  }
}

const REFUSALS: Partial<Record<ErrorCode, status>> = {
  unauthorized: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  'rate-limited': status.RESOURCE_EXHAUSTED,
};

function toRefusal({ code, message }: AppError): CallRefusal {
  return { code: REFUSALS[code] ?? status.INTERNAL, details: message };
}

function toHealth(reason: string | undefined): Answer {
  if (reason !== undefined) return { status: 'NOT_SERVING', message: reason };
  return { status: 'SERVING', message: 'Data dispatcher service is healthy' };
}

/** Tells when the caller cancels, goes away, or its deadline passes. */
function callerGone(call: ServerUnaryCall<unknown, Answer>): WaitingClient['onGone'] {
  return (giveUp) => {
    if (call.cancelled) giveUp();
    else call.once('cancelled', giveUp);
  };
}
