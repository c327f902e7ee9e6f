/** Who may make the calls of the mesh: its peers by their keys, clients by theirs, and everybody where nobody has to show one. */
import type { Metadata } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import type { CollectorCaller } from '@waybill/mesh/grpc/collector-service.ts';
import { methodName } from '@waybill/mesh/messages.ts';
import type { Admit, Caller } from '../../admission/admission.ts';
import { createFindApiKey } from '../../admission/api-keys.ts';
import type { MeshPeer } from '../../mesh/mesh-peers.ts';

export type MeshAdmission = {
  /** Lets a call in. @throws AppError `unauthorized`, or `rate-limited`. */
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
        callers.set(metadata, toPeer(peer));
        return;
      }
      const caller = admit(shown);
      if (meshPeers && caller.apiKeyId === undefined)
        throw new AppError('unauthorized', 'the key of a peer, or an API key, is needed');
      callers.set(metadata, toClient(caller));
    },
    callerOf: (metadata) => callers.get(metadata),
  };
}

function toPeer({ id, namespaces }: MeshPeer): CollectorCaller {
  return { peerId: id, mayCall: ({ namespace }) => namespaces?.includes(namespace) ?? true };
}

function toClient({ assertMaySend }: Caller): CollectorCaller {
  return {
    peerId: undefined,
    mayCall(request) {
      try {
        assertMaySend(`${request.namespace}.${methodName(request)}`);
        return true;
      } catch {
        return false;
      }
    },
  };
}
