/** Takes the Connects of peers: those that connect, and those that say goodbye. */
import { toAppError } from '@waybill/common/errors.ts';
import { isCollectorId } from './collector-id.ts';
import { type Goodbyes, OWN_DISCONNECT } from './goodbyes.ts';
import type { Keeper } from './keeper.ts';
import type { KnownNeighbours } from './known-neighbours.ts';
import {
  BAD_REQUEST,
  type ConnectRequest,
  type ConnectResponse,
  FAILED,
  failure,
  METADATA,
  OK,
} from './messages.ts';
import { isPeerAddress } from './peer-address.ts';
import { sharedOf, type ThisSite } from './this-site.ts';

const MAX_NAMESPACES = 1_000;

/** Answers a Connect; never rejects. `callerId` is who its sender has shown to be, where it had to. */
export type AcceptConnect = (request: ConnectRequest, callerId?: string) => Promise<ConnectResponse>;

/** Creates {@link AcceptConnect} of a site. */
export function createAcceptConnect({
  site,
  known,
  keeper,
  goodbyes,
}: {
  site: ThisSite;
  known: KnownNeighbours;
  keeper: Keeper;
  goodbyes: Goodbyes;
}): AcceptConnect {
  const { id } = site;

  async function connect(request: ConnectRequest, peerId: string): Promise<ConnectResponse> {
    const { address, namespaces } = request;
    try {
      const sharedNamespaces = sharedOf(namespaces, site.sharedWith(address));
      const neighbour = known.at(address);
      neighbour.noteHeard();
      const settling = neighbour.settle({ peerId: peerId || neighbour.peerId(), sharedNamespaces });
      keeper.keep(neighbour);
      return accepted(id, (await settling).connectionId, sharedNamespaces);
    } catch (thrown) {
      return refused(id, FAILED, toAppError(thrown).message);
    }
  }

  return async (request, callerId) => {
    const { address, namespaces, metadata } = request;
    const peerId = metadata[METADATA.collectorId] || callerId || '';
    const wrong = wrongSender(address, peerId, callerId, site);
    if (wrong !== undefined) return refused(id, BAD_REQUEST, wrong);
    const goodbye = metadata[METADATA.goodbye];
    if (goodbye !== undefined) {
      await goodbyes.take(address, peerId, goodbye);
      return accepted(id, '', []);
    }
    if (goodbyes.isLeaving(address, peerId)) return refused(id, FAILED, OWN_DISCONNECT);
    if (namespaces.length > MAX_NAMESPACES) return refused(id, BAD_REQUEST, 'too many namespaces');
    return connect(request, peerId);
  };
}

/** Why whoever says that it is `peerId`, at `address`, is no peer of this site; undefined when it is one. */
function wrongSender(
  address: string,
  peerId: string,
  callerId: string | undefined,
  site: ThisSite,
): string | undefined {
  if (!address) return 'address is required';
  if (!isPeerAddress(address)) return 'address must be host:port';
  if (peerId === site.id || address === site.address) return 'this collector does not connect to itself';
  const trusted = site.peerAt(address);
  if (!trusted || (trusted.id !== undefined && trusted.id !== callerId))
    return 'address is none that the caller may have';
  if (peerId !== (trusted.id ?? peerId)) return 'collector_id is not that of the caller';
  if (peerId && !isCollectorId(peerId)) return 'collector_id is none';
  return undefined;
}

function accepted(id: string, connectionId: string, shared: string[]): ConnectResponse {
  return {
    status: { code: OK, message: `Connected with ${shared.length} shared namespaces`, details: {} },
    connection_id: connectionId,
    shared_namespaces: shared,
    target_collector_id: id,
  };
}

function refused(id: string, code: number, message: string): ConnectResponse {
  const nothing = { connection_id: '', shared_namespaces: [], target_collector_id: id };
  return { status: failure(code, message), ...nothing };
}
