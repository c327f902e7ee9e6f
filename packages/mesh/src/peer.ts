/** What the router needs of a transport: another site, by its address. */
import type { ConnectRequest, ConnectResponse, ServeRequest, ServeResponse } from './messages.ts';
import type { CallOptions } from './methods.ts';

/**
 * One peer. Every call ends by its deadline, and rejects with an AppError: `not-accepted` when the peer provably has not been
 * asked, `too-large` when what it is asked is more than a message may have, `unexpected` when it answers with nothing of the
 * contract, else `outcome-unknown`.
 */
export type Peer = {
  connect(request: ConnectRequest, options: CallOptions): Promise<ConnectResponse>;
  serve(request: ServeRequest, options: CallOptions): Promise<ServeResponse>;
  /** Resolves when the peer answers at all. */
  check(options: CallOptions): Promise<void>;
  close(): void;
};

/**
 * Opens the way to `address`, without waiting for it. `onDropped` is called each time a connection that was up is lost: the
 * peer may have started again, and not know us any more.
 */
export type OpenPeer = (address: string, onDropped: () => void) => Peer;
