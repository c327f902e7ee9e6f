/**
 * Whom a site takes for a peer. A Connect names an address that this site calls from then on, so an address that is nobody's must
 * not be one that a stranger chose (SSRF).
 */
import { isLoopbackAddress } from './peer-address.ts';

/** What is known of whoever is at an address. */
export type TrustedPeer = {
  /** Its collector id; undefined: whatever it says. */
  id?: string | undefined;
  /** The namespaces that are shared with it; undefined: all. */
  namespaces?: readonly string[] | undefined;
};

/** The peer at `address`; undefined where there must not be one. */
export type PeerAt = (address: string) => TrustedPeer | undefined;

/** Everybody on this machine is a peer, and nobody else: for a mesh in which nobody has to show who they are. */
export const loopbackAlone: PeerAt = (address) => (isLoopbackAddress(address) ? {} : undefined);
