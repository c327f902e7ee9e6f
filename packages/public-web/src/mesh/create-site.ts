/** This system as a site of a mesh: its methods are events of its own listeners. */
import { backOff } from '@waybill/common/back-off.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { readServiceMethods } from '@waybill/common/grpc/service-methods.ts';
import { keyPairOf } from '@waybill/common/http/tls.ts';
import {
  type CollectiveDispatcher,
  createCollectiveDispatcher,
} from '@waybill/mesh/collective-dispatcher.ts';
import { type Connections, createMemoryConnections } from '@waybill/mesh/connections.ts';
import { MAX_CALL_BYTES } from '@waybill/mesh/grpc/collector-service.ts';
import { createDescriptorValidator } from '@waybill/mesh/grpc/descriptor-validator.ts';
import { createGrpcPeers } from '@waybill/mesh/grpc/grpc-peers.ts';
import { registerMeshMethods } from '@waybill/mesh/grpc/mesh-methods.ts';
import { isLoopbackAddress } from '@waybill/mesh/peer-address.ts';
import { openSqliteConnections } from '@waybill/mesh/sqlite-connections.ts';
import { loopbackAlone } from '@waybill/mesh/trust.ts';
import type { Logger } from 'pino';
import { isPublicType } from '../admission/public-types.ts';
import type { loadPublicWebConfig } from '../config.ts';
import type { Account } from '../core/account.ts';
import { createAnswerEvent } from '../core/answer-event.ts';
import { createAsk } from '../core/ask.ts';
import { createExpectedWait } from '../core/expected-wait.ts';
import { createRunMethod } from '../core/run-method.ts';
import type { AskStore } from '../later/store-client.ts';
import { createStoreConnections } from './store-connections.ts';

type Config = Pick<
  ReturnType<typeof loadPublicWebConfig>,
  | 'MESH_ID'
  | 'MESH_ADDRESS'
  | 'MESH_NAMESPACES'
  | 'MESH_CONNECTIONS'
  | 'MESH_DESCRIPTORS'
  | 'MESH_PEERS'
  | 'TLS_CERT'
  | 'TLS_KEY'
  | 'MAX_EVENT_BYTES'
>;

/** Creates the site that the settings name; undefined where they name none. */
export function createSite({
  config,
  asking,
  askStore,
  account,
  log,
}: {
  config: Config;
  /** Undefined without a store. */
  askStore: AskStore | undefined;
  asking: Pick<Parameters<typeof createAsk>[0], 'parked' | 'dispatchers' | 'currentReplyAddress'>;
  account: Account;
  log: Logger;
}): CollectiveDispatcher | undefined {
  const { MESH_ID: id, MESH_ADDRESS: address, MESH_NAMESPACES: namespaces } = config;
  const { MESH_CONNECTIONS: file, MESH_DESCRIPTORS: descriptors, MESH_PEERS: peers } = config;
  if (!id || !address || !namespaces) return undefined;
  const peerAt = (at: string) => peers?.find((peer) => peer.address === at);
  const patterns = namespaces.map((namespace) => `${namespace}.*`);
  // Methods are named by callers, so telemetry names their namespaces alone.
  const labelOf = (type: string) => patterns.find((pattern) => isPublicType(type, [pattern])) ?? '_OTHER';
  const ask = createAsk({
    ...asking,
    expectedWait: createExpectedWait(),
    isPublicType: (type) => isPublicType(type, patterns),
    labelOf,
  });
  const site = createCollectiveDispatcher({
    id,
    address,
    namespaces,
    connections: openConnections({ file, askStore, site: id }),
    validator: descriptors && createDescriptorValidator(new Map([...descriptors, ...ownServices()])),
    peerAt: peers ? peerAt : loopbackAlone,
    openPeer: createGrpcPeers({
      accessOf: (at) => peerAt(at) ?? {},
      keyPair: keyPairOf(config),
      maxReceiveBytes: Math.max(MAX_CALL_BYTES, config.MAX_EVENT_BYTES),
    }),
    log,
    runMethod: createRunMethod({
      answerEvent: createAnswerEvent({ ask, account, labelOf }),
      namespaces,
      maxEventBytes: config.MAX_EVENT_BYTES,
      log,
    }),
  });
  registerMeshMethods(site);
  return site;
}

/** What of the namespace `waybill` is registered everywhere. */
function ownServices() {
  return readServiceMethods(loadProto('mesh.proto'));
}

function openConnections({
  file,
  askStore,
  site,
}: {
  file: string | undefined;
  askStore: AskStore | undefined;
  site: string;
}): Connections {
  if (file) return openSqliteConnections(file);
  return askStore ? createStoreConnections({ askStore, site }) : createMemoryConnections();
}

/** Between two tries to read what was connected before, where the store is not there yet. */
const READ_AGAIN = { baseMs: 250, capMs: 4_000 };

/**
 * Connects to the peers of the settings, and to what was connected before, in the background and until they are there, or
 * `signal` aborts. Never rejects.
 */
export async function joinMesh(
  site: CollectiveDispatcher,
  { peers, signal, log }: { peers: Config['MESH_PEERS']; signal: AbortSignal; log: Logger },
): Promise<void> {
  for (const { id, address, tls } of peers ?? []) {
    if (!tls && !isLoopbackAddress(address))
      log.warn(
        { peer: id },
        'MESH_PEERS: without "tls" whoever is on the way to a peer can read the key that it is shown',
      );
    site.connectTo(address, { isPersistent: true }).catch(() => {});
  }
  for (let failures = 1; !signal.aborted; failures += 1)
    try {
      return await site.recoverFromRestart();
    } catch (err) {
      if (failures === 1) log.warn({ err }, 'what the site was connected to cannot be read yet');
      await backOff(failures, { ...READ_AGAIN, signal });
    }
}
