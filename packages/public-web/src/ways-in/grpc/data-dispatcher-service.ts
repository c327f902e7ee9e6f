/** `data_dispatcher_service.DataDispatcherService` on the public gRPC port. */
import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import type { DataDispatcherServiceHandlers } from '@waybill/common/grpc/generated/data_dispatcher_service/DataDispatcherService.ts';
import type { GrpcService } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { untilAnswered } from '@waybill/common/grpc/until-answered.ts';
import type { Readiness } from '@waybill/common/http/http-server.ts';
import { onAbort } from '@waybill/common/on-abort.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import { linkInboundGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import type { Logger } from 'pino';
import type { Caller } from '../../admission/admission.ts';
import type { AcceptClient } from '../../core/accept-client.ts';
import { ACCEPTED } from '../http/post-client.ts';

/** The call by which clients are named; the only one of the service that takes an API key. */
export const NOTIFY = '/data_dispatcher_service.DataDispatcherService/NotifyNewClient';

/** Both messages of the service that are answers. */
type Answer = { status: string; message: string };

/**
 * Creates the service. The gRPC status of an admitted call is OK in every case, as the contract has it: what went wrong is
 * in the answer, `ERROR` with the reason.
 */
export function createDataDispatcherService({
  acceptClient,
  callerOf,
  readiness,
  log,
}: {
  acceptClient: AcceptClient;
  callerOf(metadata: Metadata): Caller | undefined;
  readiness: Readiness;
  log: Logger;
}): GrpcService {
  async function accept(call: ServerUnaryCall<unknown, Answer>): Promise<Answer> {
    const apiKeyId = callerOf(call.metadata)?.apiKeyId;
    try {
      await untilAnswered(call, (gone) =>
        acceptClient(call.request, {
          onGone: (giveUp) => onAbort(gone, giveUp),
          log: apiKeyId === undefined ? log : log.child({ api_key_id: apiKeyId }),
        }),
      );
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

  return {
    name: 'data_dispatcher_service.DataDispatcherService',
    definition: loadProto('data_dispatcher_service.proto'),
    implementation,
  };
}

function toHealth(reason: string | undefined): Answer {
  if (reason !== undefined) return { status: 'NOT_SERVING', message: reason };
  return { status: 'SERVING', message: 'Data dispatcher service is healthy' };
}
