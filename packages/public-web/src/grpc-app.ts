/** The public gRPC port: `data_dispatcher_service.DataDispatcherService`, health and reflection. */
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { linkInboundGrpcTrace } from '@waybill/common/edge-trace.ts';
import { AppError } from '@waybill/common/errors.ts';
import { createGrpcServer } from '@waybill/common/grpc-server.ts';
import type { Readiness } from '@waybill/common/http-server.ts';
import { loadProto } from '@waybill/common/proto.ts';
import type { Logger } from 'pino';
import type { AcceptClient } from './accept-client.ts';
import { ACCEPTED } from './post-client.ts';

/** A request has six short fields. */
const MAX_RECEIVE_BYTES = 64 * 1024;

/** Both messages of the service that are answers. */
type Answer = { status: string; message: string };

export type GrpcAppOptions = {
  acceptClient: AcceptClient;
  readiness: Readiness;
  log: Logger;
  host: string;
  port: number;
};

/**
 * Listens. The gRPC status is OK in every case, as the contract has it: what went wrong is in the answer, `ERROR` with
 * the reason. `close` lets calls under way be answered.
 */
export function createGrpcApp({ acceptClient, readiness, log, host, port }: GrpcAppOptions) {
  async function accept(call: ServerUnaryCall<unknown, Answer>): Promise<Answer> {
    try {
      await acceptClient(call.request, { signal: callerGone(call), log });
      return ACCEPTED;
    } catch (thrown) {
      if (thrown instanceof AppError) return { status: 'ERROR', message: thrown.message };
      log.error({ err: thrown }, 'request failed');
      return { status: 'ERROR', message: 'an unexpected error; see the log of this instance' };
    }
  }

  return createGrpcServer({
    definition: loadProto('data_dispatcher_service.proto'),
    service: 'data_dispatcher_service.DataDispatcherService',
    implementation: {
      NotifyNewClient(call: ServerUnaryCall<unknown, Answer>, callback: sendUnaryData<Answer>) {
        linkInboundGrpcTrace();
        accept(call).then((answer) => callback(null, answer));
      },
      HealthCheck(_call: ServerUnaryCall<unknown, Answer>, callback: sendUnaryData<Answer>) {
        callback(null, toHealth(readiness()));
      },
    },
    host,
    port,
    maxReceiveBytes: MAX_RECEIVE_BYTES,
    isServing: () => readiness() === undefined,
    log,
  });
}

function toHealth(reason: string | undefined): Answer {
  if (reason !== undefined) return { status: 'NOT_SERVING', message: reason };
  return { status: 'SERVING', message: 'Data dispatcher service is healthy' };
}

/** Aborts when the caller cancels, goes away, or its deadline passes. */
function callerGone(call: ServerUnaryCall<unknown, Answer>): AbortSignal {
  const gone = new AbortController();
  if (call.cancelled) gone.abort();
  call.once('cancelled', () => gone.abort());
  return gone.signal;
}
