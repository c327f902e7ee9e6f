/** Who may make the calls of the mesh: its peers by their keys, clients by theirs, and everybody where nobody has to show one. */
import type { Metadata } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import { continueGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import type { CollectorCaller } from '@waybill/mesh/grpc/collector-service.ts';
import { OWN_NAMESPACE } from '@waybill/mesh/grpc/mesh-methods.ts';
import { methodName } from '@waybill/mesh/messages.ts';
import type { Caller } from '../../admission/admission.ts';
import { createFindApiKey } from '../../admission/api-keys.ts';
import type { MeshPeer } from '../../mesh/mesh-peers.ts';

/** Where the metadata of a call keeps who makes it: a WeakMap of all calls costs several times as much. */
const CALLER = 'waybill-mesh-caller';

export type MeshAdmission = {
  /** Lets the call of a peer in, whose trace goes on in what it leads to; false when `key` is not that of one. */
  admitPeer(metadata: Metadata, key: string | undefined): boolean;
  /** Lets in the call of anybody else who was admitted. @throws AppError `unauthorized` when that is not enough here. */
  admitCaller(metadata: Metadata, caller: Caller): void;
  /** Who made a call that was let in. */
  callerOf(metadata: Metadata): CollectorCaller | undefined;
};

/** Creates {@link MeshAdmission}. Where there are `meshPeers`, or API keys, every caller needs a key. */
export function createMeshAdmission({
  meshPeers,
}: {
  meshPeers: readonly MeshPeer[] | undefined;
}): MeshAdmission {
  const findPeer = createFindApiKey(meshPeers ?? []);

  return {
    admitPeer(metadata, key) {
      const peer = key === undefined ? undefined : findPeer(key);
      if (!peer) return false;
      continueGrpcTrace(metadata);
      metadata.setOpaque(CALLER, toPeer(peer));
      return true;
    },
    admitCaller(metadata, caller) {
      if (meshPeers && caller.apiKeyId === undefined)
        throw new AppError('unauthorized', 'the key of a peer, or an API key, is needed');
      // In an open mesh whoever shows no key may be a peer.
      if (!meshPeers && caller.apiKeyId === undefined) continueGrpcTrace(metadata);
      metadata.setOpaque(CALLER, toClient(caller));
    },
    callerOf: (metadata) => metadata.getOpaque(CALLER) as CollectorCaller | undefined,
  };
}

function toPeer({ id, namespaces }: MeshPeer): CollectorCaller {
  // What is Waybill's own is none of those that a peer may call as long as nothing is said of it.
  return {
    peerId: id,
    mayCall: ({ namespace }) => namespaces?.includes(namespace) ?? namespace !== OWN_NAMESPACE,
  };
}

function toClient({ assertMaySend, assertMayManageMesh }: Caller): CollectorCaller {
  return {
    peerId: undefined,
    mayCall(request) {
      try {
        if (request.namespace === OWN_NAMESPACE) assertMayManageMesh();
        else assertMaySend(`${request.namespace}.${methodName(request)}`);
        return true;
      } catch {
        return false;
      }
    },
  };
}
