/** Who may make the calls of the mesh: its peers by their keys, clients by theirs, and everybody where nobody has to show one. */
import type { Metadata } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import { continueGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import type { CollectorCaller } from '@waybill/mesh/grpc/collector-service.ts';
import { OWN_NAMESPACE } from '@waybill/mesh/grpc/mesh-methods.ts';
import { methodName } from '@waybill/mesh/messages.ts';
import type { Admit, Caller } from '../../admission/admission.ts';
import { createFindApiKey } from '../../admission/api-keys.ts';
import type { MeshPeer } from '../../mesh/mesh-peers.ts';

export type MeshAdmission = {
  /** Lets a call in; the trace of a peer goes on in what its call leads to. @throws AppError `unauthorized`, or `rate-limited`. */
  admit(metadata: Metadata, shown: Parameters<Admit>[0]): void;
  /** Who made a call that was let in. */
  callerOf(metadata: Metadata): CollectorCaller | undefined;
};

/** Creates {@link MeshAdmission}. Where there are `meshPeers`, or API keys, every caller needs a key. */
export function createMeshAdmission({
  admit,
  meshPeers,
}: {
  admit: Admit;
  meshPeers: readonly MeshPeer[] | undefined;
}): MeshAdmission {
  const findPeer = createFindApiKey(meshPeers ?? []);
  const callers = new WeakMap<Metadata, CollectorCaller>();

  return {
    admit(metadata, shown) {
      const peer = shown.key === undefined ? undefined : findPeer(shown.key);
      if (peer) {
        continueGrpcTrace(metadata);
        callers.set(metadata, toPeer(peer));
        return;
      }
      const caller = admit(shown);
      if (meshPeers && caller.apiKeyId === undefined)
        throw new AppError('unauthorized', 'the key of a peer, or an API key, is needed');
      // In an open mesh whoever shows no key may be a peer.
      if (!meshPeers && caller.apiKeyId === undefined) continueGrpcTrace(metadata);
      callers.set(metadata, toClient(caller));
    },
    callerOf: (metadata) => callers.get(metadata),
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
