/** One neighbour: a peer that this site is, was or wants to be connected to, by its address. */
import { randomUUID } from 'node:crypto';
import type { Connection, ConnectionStatus, Connections } from './connections.ts';
import { counted } from './count-calls.ts';
import { createLink, type Link } from './link.ts';
import type { ServeRequest, ServeResponse } from './messages.ts';
import type { CallOptions } from './methods.ts';
import type { OpenPeer, Peer } from './peer.ts';

/** Where a site says what becomes of its connections. */
export type MeshLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
};

/** What a Connect has settled, whichever side sent it. */
export type Settled = Pick<Connection, 'direction' | 'peerId' | 'sharedNamespaces'>;

export type Neighbour = Pick<Link, 'inFlight' | 'isClosed' | 'check'> &
  Pick<Peer, 'connect'> & {
    address: string;
    /** What metrics call it. */
    name: string;
    /** Of its newest connection; undefined before the first. */
    connection(): Readonly<Connection> | undefined;
    isActive(): boolean;
    /** Whether it may have lost what it knew of this site, so that it has to be told again. */
    isForgotten(): boolean;
    /** Whether its last health check was not answered. */
    isSilent(): boolean;
    noteHealth(isSilent: boolean): void;
    /** The collector id; empty while it is not known, and while there is no connection. */
    peerId(): string;
    /** Notes what a Connect settled: in its active connection, else in a new one. Resolves once the record is saved. */
    settle(settled: Settled): Promise<Readonly<Connection>>;
    /** Ends its active connection, and drops the way to it, as it may be half-open. */
    end(status: Exclude<ConnectionStatus, 'ACTIVE'>, reason: string): Promise<void>;
    /** Saves the counts of its connection where they have changed. */
    saveCounts(): Promise<void>;
    /** As {@link Link.serve}, counted and measured. */
    serve(request: ServeRequest, options: CallOptions): Promise<ServeResponse>;
    /** Stops whatever keeps it connected. */
    signal: AbortSignal;
    close(): void;
  };

/** Creates the neighbour at `address`. */
export function createNeighbour({
  address,
  name,
  sessionId,
  store,
  openPeer,
  log,
}: {
  address: string;
  /** What metrics call it. */
  name: string;
  sessionId: string;
  store: Pick<Connections, 'save'>;
  openPeer: OpenPeer;
  log: MeshLog;
}): Neighbour {
  const stopping = new AbortController();
  let isForgotten = false;
  let isSilent = false;
  let connection: Connection | undefined;
  let savedCalls = 0;
  let peer = open();
  const link = createLink({
    serve: (request, options) => peer.serve(request, options),
    check: (options) => peer.check(options),
  });
  const isActive = () => connection?.status === 'ACTIVE';

  function open(): Peer {
    return openPeer(address, () => {
      isForgotten = true;
    });
  }

  async function save(): Promise<void> {
    if (!connection) return;
    savedCalls = connection.calls;
    // A connection is good for calls, whether or not it is on record.
    await store.save(connection).catch((err) => log.warn({ err }, 'a connection of the mesh was not saved'));
  }

  return {
    address,
    name,
    signal: stopping.signal,
    inFlight: link.inFlight,
    isClosed: link.isClosed,
    check: link.check,
    connect: (request, options) => peer.connect(request, options),
    connection: () => connection,
    isActive,
    isForgotten: () => isForgotten,
    isSilent: () => isSilent,
    noteHealth(next) {
      isSilent = next;
    },
    peerId: () => (isActive() ? (connection?.peerId ?? '') : ''),
    async settle(settled) {
      isForgotten = false;
      if (connection?.status === 'ACTIVE')
        Object.assign(connection, settled, { direction: connection.direction });
      else {
        connection = begin(address, sessionId, settled);
        log.info(shown(connection), 'peer of the mesh connected');
      }
      await save();
      return connection;
    },
    async end(status, reason) {
      peer.close();
      peer = open();
      if (!connection || !isActive()) return;
      Object.assign(connection, { status, reason, endedAt: new Date().toISOString() });
      log.info({ ...shown(connection), status, reason }, 'connection to a peer of the mesh ended');
      await save();
    },
    async saveCounts() {
      if (connection && connection.calls !== savedCalls) await save();
    },
    serve: (request, options) => counted(link.serve(request, options), request, { name, connection }),
    close() {
      stopping.abort();
      peer.close();
    },
  };
}

function shown({ connectionId, address, peerId, sharedNamespaces }: Connection): object {
  return {
    connection_id: connectionId,
    peer_address: address,
    peer_id: peerId,
    namespaces: sharedNamespaces,
  };
}

function begin(address: string, sessionId: string, settled: Settled): Connection {
  return {
    connectionId: randomUUID(),
    sessionId,
    address,
    ...settled,
    status: 'ACTIVE',
    connectedAt: new Date().toISOString(),
    calls: 0,
    failedCalls: 0,
    bytesSent: 0,
    bytesReceived: 0,
  };
}
