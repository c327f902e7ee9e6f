/** `nimbus.NimbusService` on the public gRPC port: clients that send many events over one stream. */
import { type Metadata, status } from '@grpc/grpc-js';
import type { NimbusServiceHandlers } from '@waybill/common/grpc/generated/nimbus/NimbusService.ts';
import type { CallRefusal } from '@waybill/common/grpc/grpc-bounds.ts';
import type { GrpcService } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { linkInboundGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import type { Logger } from 'pino';
import type { Caller } from '../../admission/admission.ts';
import { type EventCall, type EventStream, serveEventStream } from './event-stream.ts';
import { createUnstoredSessions, type UnstoredSessionsOptions } from './unstored-sessions.ts';

/** The call by which events come. */
export const PROCESS_EVENT = '/nimbus.NimbusService/ProcessEvent';

export type NimbusService = GrpcService & {
  /** With what a call ends that has no client id, or is one too many. */
  refusalOf(metadata: Metadata): CallRefusal | undefined;
  /** Has every stream answer what it has read, and end with UNAVAILABLE: the client finds another instance. */
  drain(): void;
};

export type NimbusServiceOptions = UnstoredSessionsOptions & {
  callerOf(metadata: Metadata): Caller | undefined;
  /** Streams at once. */
  maxStreams: number;
  log: Logger;
};

/** Creates the service. */
export function createNimbusService({
  callerOf,
  maxStreams,
  log,
  ...options
}: NimbusServiceOptions): NimbusService {
  const streams = new Set<EventStream>();
  const attach = createUnstoredSessions(options);

  const implementation: NimbusServiceHandlers = {
    ProcessEvent(call: EventCall) {
      linkInboundGrpcTrace();
      const caller = callerOf(call.metadata) as Caller;
      const { apiKeyId } = caller;
      const ownLog = apiKeyId === undefined ? log : log.child({ api_key_id: apiKeyId });
      const stream = serveEventStream(call, { attach, requester: { caller, log: ownLog } });
      streams.add(stream);
      call.once('close', () => streams.delete(stream));
    },
  };

  return {
    name: 'nimbus.NimbusService',
    definition: loadProto('nimbus.proto'),
    implementation,
    refusalOf(metadata) {
      if (!hasMetadata(metadata)) return refusal(status.DATA_LOSS, 'metadata not received');
      if (clientIdOf(metadata) === '')
        return refusal(status.INVALID_ARGUMENT, 'client_id not received or empty in metadata');
      if (streams.size >= maxStreams)
        return refusal(status.RESOURCE_EXHAUSTED, 'too many streams; try again');
      return undefined;
    },
    drain() {
      for (const stream of streams) stream.drain();
    },
  };
}

/** What gRPC's own transports add to the metadata of a call. */
const OF_TRANSPORT = /^(user-agent|grpc-.*)$/;

function hasMetadata(metadata: Metadata): boolean {
  return Object.keys(metadata.getMap()).some((name) => !OF_TRANSPORT.test(name));
}

function clientIdOf(metadata: Metadata): string {
  return String(metadata.get('client_id')[0] ?? '');
}

function refusal(code: status, details: string): CallRefusal {
  return { code, details };
}
