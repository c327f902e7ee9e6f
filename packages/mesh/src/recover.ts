/** What a site that starts again makes of the connections of its earlier sessions. */
import type { Connection, Connections } from './connections.ts';
import { OWN_DISCONNECT, OWN_SHUTDOWN, PEER_DISCONNECT } from './goodbyes.ts';
import type { Keeper } from './keeper.ts';
import type { KnownNeighbours } from './known-neighbours.ts';
import type { PeerAt } from './trust.ts';

const STALE_REASON = 'its process ended without a goodbye';

/**
 * What is on record as active, and is not of the session `sessionId`, becomes STALE. Each peer that was connected at the end, or
 * that this site has asked for, is kept connected.
 */
export async function recover({
  store,
  sessionId,
  peerAt,
  known,
  keeper,
}: {
  store: Connections;
  sessionId: string;
  peerAt: PeerAt;
  known: KnownNeighbours;
  keeper: Keeper;
}): Promise<void> {
  for (const connection of await newestOfEach(store, sessionId)) {
    const { address, direction } = connection;
    if (connection.sessionId === sessionId || !isToBeConnected(connection)) continue;
    if (!peerAt(address) || known.isFull()) continue;
    const neighbour = known.at(address);
    neighbour.recall(connection);
    if (direction === 'outbound') neighbour.want();
    keeper.keep(neighbour);
  }
}

/** The newest connection to each address, those of earlier sessions ended. */
async function newestOfEach(store: Connections, sessionId: string): Promise<Iterable<Connection>> {
  const newest = new Map<string, Connection>();
  for (const listed of await store.list()) {
    const isEarlier = listed.sessionId !== sessionId;
    const connection = isEarlier && listed.status === 'ACTIVE' ? toStale(listed) : listed;
    if (connection !== listed) await store.save(connection);
    if (!isMereTry(connection)) newest.set(connection.address, connection);
  }
  return newest.values();
}

function toStale(connection: Connection): Connection {
  const end = { status: 'STALE' as const, reason: STALE_REASON, endedAt: new Date().toISOString() };
  return { ...connection, ...end };
}

/** Whether it was never more than tried: there was nobody. */
function isMereTry({ status, peerId }: Connection): boolean {
  return status === 'FAILED' && peerId === '';
}

/** Whether this site is to connect to the peer of an earlier session's newest connection: it asked for it, or was connected at the end. */
function isToBeConnected({ direction, reason = '' }: Connection): boolean {
  if (reason === OWN_DISCONNECT || reason === PEER_DISCONNECT) return false;
  return direction === 'outbound' || reason === OWN_SHUTDOWN || reason === STALE_REASON;
}
