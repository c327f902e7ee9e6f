/** `nimbus.NimbusService` on the public gRPC port: clients that send many events over one stream. */
import { createHash } from 'node:crypto';
import { type Metadata, status } from '@grpc/grpc-js';
import type { NimbusServiceHandlers } from '@waybill/common/grpc/generated/nimbus/NimbusService.ts';
import type { CallRefusal } from '@waybill/common/grpc/grpc-bounds.ts';
import type { GrpcService } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { linkInboundGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import type { Logger } from 'pino';
import type { Caller } from '../../admission/admission.ts';
import { createRoom } from '../../clients/room.ts';
import type { Sessions } from '../../clients/sessions.ts';
import { type EventCall, type EventStream, serveEventStream } from './event-stream.ts';

/** The call by which events come. */
export const PROCESS_EVENT = '/nimbus.NimbusService/ProcessEvent';

export type NimbusService = GrpcService & {
  /** With what a call ends that has no client id, or is one too many. */
  refusalOf(metadata: Metadata): CallRefusal | undefined;
  /** Has every stream answer what it has read, and end with UNAVAILABLE: the client finds another instance. */
  drain(): void;
};

export type NimbusServiceOptions = {
  sessions: Pick<Sessions, 'attach'>;
  callerOf(metadata: Metadata): Caller | undefined;
  /** Streams at once. */
  maxStreams: number;
  /** Events of all streams that are under way at once; whoever sends more is not read. */
  maxUnderWay: number;
  log: Logger;
};

/** Creates the service. */
export function createNimbusService({
  sessions,
  callerOf,
  maxStreams,
  maxUnderWay,
  log,
}: NimbusServiceOptions): NimbusService {
  const streams = new Set<EventStream>();
  const room = createRoom(maxUnderWay);

  const implementation: NimbusServiceHandlers = {
    ProcessEvent(call: EventCall) {
      linkInboundGrpcTrace();
      const caller = callerOf(call.metadata) as Caller;
      const { apiKeyId } = caller;
      const ownLog = apiKeyId === undefined ? log : log.child({ api_key_id: apiKeyId });
      const client = toClientId(clientIdOf(call.metadata));
      const stream = serveEventStream(call, {
        attach: (options) => sessions.attach({ client, apiKeyId, room, ...options }),
        requester: { caller, log: ownLog },
      });
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

/** A session's client id has few characters, and those of this service any. */
function toClientId(id: string): string {
  if (/^[\w.:-]{1,128}$/.test(id)) return id;
  return `sha256:${createHash('sha256').update(id).digest('base64url')}`;
}

function refusal(code: status, details: string): CallRefusal {
  return { code, details };
}
