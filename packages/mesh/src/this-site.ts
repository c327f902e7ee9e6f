/** A site as its peers know it: who and where it is, whom it takes for a peer, and what it says in the Connects that it sends. */
import { type ConnectRequest, METADATA } from './messages.ts';
import type { PeerAt } from './trust.ts';

export type ThisSite = {
  id: string;
  /** Where peers call it. */
  address: string;
  peerAt: PeerAt;
  /** Its namespaces, as they now are, that the peer at `address` may have. */
  sharedWith(address: string): string[];
  /** The Connect that connects it to the peer at `address`. */
  greetingTo(address: string): ConnectRequest;
  /** The Connect that ends a connection: for good, or until this site is back. */
  goodbye(kind: 'disconnect' | 'shutdown'): ConnectRequest;
};

/** Creates {@link ThisSite}. */
export function createThisSite({
  id,
  address: ownAddress,
  namespaces,
  peerAt,
}: Pick<ThisSite, 'id' | 'address' | 'peerAt'> & { namespaces(): readonly string[] }): ThisSite {
  function sharedWith(address: string): string[] {
    const permitted = peerAt(address)?.namespaces;
    return namespaces().filter((name) => permitted?.includes(name) ?? true);
  }

  return {
    id,
    address: ownAddress,
    peerAt,
    sharedWith,
    greetingTo: (address) => ({
      address: ownAddress,
      namespaces: sharedWith(address),
      metadata: { [METADATA.collectorId]: id },
    }),
    goodbye: (kind) => ({
      address: ownAddress,
      namespaces: [],
      metadata: { [METADATA.collectorId]: id, [METADATA.goodbye]: kind },
    }),
  };
}

/** What two sites share: in the order of `offered`, each once. */
export function sharedOf(offered: readonly string[], own: readonly string[]): string[] {
  return [...new Set(offered)].filter((name) => own.includes(name));
}
