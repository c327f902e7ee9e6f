/** The public gRPC port: the services of what is switched on, health and reflection; and who may call them. */
import type { Metadata } from '@grpc/grpc-js';
import { createGrpcServer, type GrpcServer } from '@waybill/common/grpc/grpc-server.ts';
import type { Readiness } from '@waybill/common/http/http-server.ts';
import type { KeyPair } from '@waybill/common/http/tls.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { CollectiveDispatcher } from '@waybill/mesh/collective-dispatcher.ts';
import {
  createCollectorService,
  MAX_CALL_BYTES,
  MAX_CALLS_PER_CONNECTION,
} from '@waybill/mesh/grpc/collector-service.ts';
import type { Logger } from 'pino';
import { type Admit, type Caller, shownKey } from '../../admission/admission.ts';
import { type AdmitShown, createAdmitShown } from '../../admission/admit-shown.ts';
import type { VerifyToken } from '../../admission/json-web-tokens.ts';
import type { AcceptClient } from '../../core/accept-client.ts';
import type { MeshPeer } from '../../mesh/mesh-peers.ts';
import { type ClientAddress, createClientAddress } from '../client-address.ts';
import { createDataDispatcherService, NOTIFY } from './data-dispatcher-service.ts';
import { createMeshAdmission } from './mesh-admission.ts';
import { createNimbusService, type NimbusServiceOptions, PROCESS_EVENT } from './nimbus-service.ts';
import { toRefusal } from './to-refusal.ts';

/** A client's request has six fields of 255 characters at most. */
const MAX_CLIENT_BYTES = 16 * 1024;
/** Of outputs of calls that wait for their readers. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
const COLLECTOR = '/collector.CollectiveDispatcher/';
/** Where the metadata of a call that is admitted keeps who makes it, for its handler. */
const CALLER = 'waybill-caller';

export type GrpcAppOptions = {
  admit: Admit;
  /** Undefined: no tokens are taken. */
  verifyToken?: VerifyToken | undefined;
  /** Default: the address of the connection. */
  clientAddress?: ClientAddress | undefined;
  /** Without it clients are not named here. */
  acceptClient: AcceptClient | undefined;
  /** Without it this is no site of a mesh. */
  site: CollectiveDispatcher | undefined;
  /** Peers of that mesh, who show their own keys; undefined where nobody has to. */
  meshPeers?: readonly MeshPeer[] | undefined;
  /** Without it no events come here by streams. */
  streams: Pick<NimbusServiceOptions, 'sessions' | 'maxStreams' | 'maxUnderWay'> | undefined;
  /** How long calls of the mesh wait at most. */
  deadlineMs: number;
  /** Of what a call of the mesh becomes. */
  maxEventBytes?: number | undefined;
  readiness: Readiness;
  log: Logger;
  host: string;
  port: number;
  /** Connections at once; one more is closed. */
  maxConnections: number;
  tls?: KeyPair;
  /** Authorities of the certificates that callers have to show, if they have to. */
  clientCa?: string | undefined;
};

/**
 * Listens. Who is not admitted is told by the gRPC status, UNAUTHENTICATED, PERMISSION_DENIED, or RESOURCE_EXHAUSTED, before
 * the message is read; never if neither API keys, tokens nor a rate limit are set. `close` lets calls under way be answered.
 */
export async function createGrpcApp({
  admit,
  verifyToken,
  clientAddress = createClientAddress(),
  acceptClient,
  site,
  meshPeers,
  streams,
  deadlineMs,
  maxEventBytes = 0,
  readiness,
  log,
  ...listenOptions
}: GrpcAppOptions): Promise<GrpcServer> {
  const admitShown = createAdmitShown({ admit, verifyToken });
  const callerOf = (metadata: Metadata) => metadata.getOpaque(CALLER) as Caller | undefined;
  const mesh = createMeshAdmission({ meshPeers });
  const nimbus = streams && createNimbusService({ ...streams, callerOf, log });
  const services = [
    acceptClient && createDataDispatcherService({ acceptClient, callerOf, readiness, log }),
    site && createCollectorService({ site, deadlineMs, callerOf: mesh.callerOf }),
    nimbus,
  ];

  const server = await createGrpcServer({
    services: services.filter((service) => service !== undefined),
    ...listenOptions,
    admit({ path, metadata, address }) {
      const isMesh = path.startsWith(COLLECTOR);
      // Health and reflection stay open.
      if (!isMesh && path !== NOTIFY && path !== PROCESS_EVENT) return undefined;
      const refuse = (thrown: unknown) => toRefusal(toPublicError(thrown, log));
      const enter = (caller: Caller) => {
        if (isMesh) mesh.admitCaller(metadata, caller);
        if (path === NOTIFY) caller.assertMayAddClients();
        metadata.setOpaque(CALLER, caller);
        return path === PROCESS_EVENT ? nimbus?.refusalOf(metadata) : undefined;
      };
      try {
        const shown = shownBy(metadata, address, clientAddress);
        if (isMesh && mesh.admitPeer(metadata, shown.key)) return undefined;
        const admitted = admitShown(shown);
        return admitted instanceof Promise ? admitted.then(enter).catch(refuse) : enter(admitted);
      } catch (thrown) {
        return refuse(thrown);
      }
    },
    maxConcurrentStreams: (site ?? nimbus) && MAX_CALLS_PER_CONNECTION,
    maxReceiveBytes: site ? Math.max(MAX_CALL_BYTES, maxEventBytes) : MAX_CLIENT_BYTES,
    maxUnreadBytes: MAX_UNREAD_BYTES,
    bytesOf: (message) => (message as { output?: { value: Buffer } | null }).output?.value.length ?? 0,
    isServing: () => readiness() === undefined,
    log,
  });
  return {
    ...server,
    close(deadlineMs) {
      nimbus?.drain();
      return server.close(deadlineMs);
    },
  };
}

/** What whoever makes the call shows of themselves. */
function shownBy(metadata: Metadata, peer: string, clientAddress: ClientAddress): Parameters<AdmitShown>[0] {
  const [authorization] = metadata.get('authorization');
  const [apiKey] = metadata.get('x-api-key');
  const address = clientAddress({ peer, forwardedFor: metadata.get('x-forwarded-for').join(',') });
  return { key: shownKey(authorization, apiKey), address };
}
