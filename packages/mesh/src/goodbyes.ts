/**
 * How connections end in order: a site says goodbye to its peers, and takes theirs; for good, or until who says it is back. What is
 * for good has to be heard: until the peer has, it is told again, and its Connects are refused.
 */
import { backOff } from '@waybill/common/back-off.ts';
import { GIVE_UP_MS, RECONNECT } from './keep-connected.ts';
import type { KnownNeighbours } from './known-neighbours.ts';
import type { Neighbour } from './neighbour.ts';
import type { ThisSite } from './this-site.ts';

/** The reason of connections that ended with this process, in order. */
export const OWN_SHUTDOWN = 'this site shut down';
/** The reasons of those that are not to be made again. */
export const OWN_DISCONNECT = 'this site disconnected';
export const PEER_DISCONNECT = 'the peer disconnected';
const PEER_SHUTDOWN = 'the peer shut down';

const GOODBYE_MS = 1_000;

export type Goodbyes = {
  /**
   * Ends the connection of a neighbour for good, and closes it when its peer has heard so, or has been told for ten minutes. Resolves
   * when the connection has ended.
   */
  sayForGood(neighbour: Neighbour): Promise<void>;
  /** Ends the connection of a neighbour until this site is back. */
  sayShutdown(neighbour: Neighbour): Promise<void>;
  /** Takes a goodbye of the peer that is at `address`, or has the id: `kind` says whether for good. */
  take(address: string, peerId: string, kind: string): Promise<void>;
  /** Whether whoever is at the address, or has the id, has not yet heard that it is connected no more. */
  isLeaving(address: string, peerId: string): boolean;
  /** Says goodbye to who is at the address no longer: what is still on its way would end the connection that is made next. */
  cancel(address: string): Promise<void>;
  close(): Promise<void>;
};

/** Creates the {@link Goodbyes} of a site. */
export function createGoodbyes({ site, known }: { site: ThisSite; known: KnownNeighbours }): Goodbyes {
  /** Those that are said goodbye to for good, and have not heard it yet. */
  const leaving = new Map<string, { neighbour: Neighbour; told: AbortController; done: Promise<void> }>();

  const tell = (neighbour: Neighbour, kind: 'disconnect' | 'shutdown') =>
    neighbour.connect(site.goodbye(kind), { deadlineMs: GOODBYE_MS });

  async function cancel(address: string): Promise<void> {
    const left = leaving.get(address);
    left?.told.abort();
    await left?.done;
  }

  return {
    async sayForGood(neighbour) {
      known.leave(neighbour);
      const { address } = neighbour;
      const first = tell(neighbour, 'disconnect');
      const told = new AbortController();
      const ended = first.catch(() => {}).then(() => neighbour.endForGood(OWN_DISCONNECT));
      const done = first
        .catch(() => tellAgain(() => tell(neighbour, 'disconnect'), told.signal))
        .then(() => leaving.delete(address))
        .then(() => ended)
        .then(neighbour.close);
      leaving.set(address, { neighbour, told, done });
      await ended;
    },
    async sayShutdown(neighbour) {
      known.leave(neighbour);
      // A peer that does not hear it finds out.
      await tell(neighbour, 'shutdown').catch(() => {});
      await neighbour.end('DISCONNECTED', OWN_SHUTDOWN);
      neighbour.close();
    },
    async take(address, peerId, kind) {
      // This site may know its peer by another address than the peer does.
      const isOf = (one: Neighbour) => one.address === address || (peerId !== '' && one.peerId() === peerId);
      const end = kind === 'shutdown' ? endUntilBack : endForGood;
      await Promise.all(known.all().filter(isOf).map(end));
    },
    isLeaving(address, peerId) {
      const isOf = ({ neighbour }: { neighbour: Neighbour }) => neighbour.connection()?.peerId === peerId;
      return leaving.has(address) || (peerId !== '' && [...leaving.values()].some(isOf));
    },
    cancel,
    async close() {
      await Promise.all([...leaving.keys()].map(cancel));
    },
  };

  function endUntilBack(neighbour: Neighbour): Promise<void> {
    return neighbour.end('DISCONNECTED', PEER_SHUTDOWN);
  }

  async function endForGood(neighbour: Neighbour): Promise<void> {
    known.leave(neighbour);
    await neighbour.endForGood(PEER_DISCONNECT);
    neighbour.close();
  }
}

/** Calls `tell` with back-off until it resolves, `signal` aborts, or ten minutes have passed. Never rejects. */
async function tellAgain(tell: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  for (let failures = 1; performance.now() - startedMs < GIVE_UP_MS; failures += 1) {
    await backOff(failures, { ...RECONNECT, signal });
    if (signal.aborted) return;
    const isHeard = await tell().then(
      () => true,
      () => false,
    );
    if (isHeard) return;
  }
}
