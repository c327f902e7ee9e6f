/** The neighbours that a site has now, one for each address. Whatever connects, keeps or ends a connection finds its neighbour here. */
import { AppError } from '@waybill/common/errors.ts';
import type { Connection } from './connections.ts';
import { createNeighbour, type MeshLog, type Neighbour } from './neighbour.ts';
import { observeNeighbours } from './observe-neighbours.ts';
import type { OpenPeer } from './peer.ts';
import type { Recorder } from './record-connections.ts';
import type { PeerAt } from './trust.ts';

/** Peers of one site. */
const MAX_NEIGHBOURS = 256;

export type KnownNeighbours = {
  /** Those that there are, also where they are only tried. */
  all(): Neighbour[];
  /** Those that calls may be routed to. */
  active(): Neighbour[];
  /**
   * The neighbour at `address`; a new one where there is none.
   *
   * @throws AppError `not-accepted` after {@link stop}, `rate-limited` when there are too many.
   */
  at(address: string): Neighbour;
  isFull(): boolean;
  /** Stops a neighbour: from now on it is a new one that a Connect from its address, or to it, settles. */
  leave(neighbour: Neighbour): void;
  /** Leaves a neighbour, and closes the way to it. */
  forget(neighbour: Neighbour): void;
  /** Has {@link at} return none any more, and metrics show none. */
  stop(): void;
  isStopping(): boolean;
};

/** Creates the {@link KnownNeighbours} of one site, whose connections are those of the session `sessionId`. */
export function createKnownNeighbours({
  peerAt,
  ...shared
}: {
  sessionId: Connection['sessionId'];
  record: Recorder['record'];
  openPeer: OpenPeer;
  peerAt: PeerAt;
  log: MeshLog;
}): KnownNeighbours {
  const byAddress = new Map<string, Neighbour>();
  const stopObserving = observeNeighbours(() => byAddress.values());
  let isStopping = false;
  const isFull = () => byAddress.size >= MAX_NEIGHBOURS;

  function add(address: string): Neighbour {
    if (isFull()) throw new AppError('rate-limited', 'too many connections');
    // Whoever may be at an address chooses its id, and metrics are kept by what names them.
    const name = peerAt(address)?.id ?? address;
    const neighbour = createNeighbour({ address, name, ...shared });
    byAddress.set(address, neighbour);
    return neighbour;
  }

  function leave(neighbour: Neighbour): void {
    neighbour.stop();
    if (byAddress.get(neighbour.address) === neighbour) byAddress.delete(neighbour.address);
  }

  return {
    all: () => [...byAddress.values()],
    active: () => [...byAddress.values()].filter((neighbour) => neighbour.isActive()),
    at(address) {
      // A peer that is said goodbye to connects again at once.
      if (isStopping) throw new AppError('not-accepted', 'this site shuts down');
      return byAddress.get(address) ?? add(address);
    },
    isFull,
    leave,
    forget(neighbour) {
      leave(neighbour);
      neighbour.close();
    },
    stop() {
      isStopping = true;
      stopObserving();
    },
    isStopping: () => isStopping,
  };
}
