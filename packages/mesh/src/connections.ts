/**
 * The record of a site's connections. It is kept in a store, so that a site that starts again knows whom it was
 * connected to.
 */

import { MAX_ENDED_CONNECTIONS } from '@waybill/common/internal-call/store-calls.ts';

/**
 * `ACTIVE`: calls are routed over it. It ends as `DISCONNECTED` (one side said goodbye), `FAILED` (the peer cannot be reached)
 * or `STALE` (it was active when its process ended).
 */
export type ConnectionStatus = 'ACTIVE' | 'DISCONNECTED' | 'FAILED' | 'STALE';

/** One connection to a peer, from its Connect to its end; a peer that comes back gets a new one. */
export type Connection = {
  connectionId: string;
  /** The process that wrote it. */
  sessionId: string;
  /** Who asked for it: `outbound` this site, or both, and it keeps it for ever; `inbound` the peer alone. */
  direction: 'outbound' | 'inbound';
  /** Where the peer is called. */
  address: string;
  /** The peer's collector id; empty while it is not known. */
  peerId: string;
  /** Those that calls are routed by, in the caller's order. */
  sharedNamespaces: readonly string[];
  status: ConnectionStatus;
  /** RFC 3339. */
  connectedAt: string;
  /** RFC 3339; absent while it is active. */
  endedAt?: string;
  /** Why it ended. */
  reason?: string;
  /** Calls sent to the peer over it, those that failed to be answered, and the bytes of their inputs and outputs. */
  calls: number;
  failedCalls: number;
  bytesSent: number;
  bytesReceived: number;
};

/** Where connections are kept. What has been saved is listed from then on, also by a later process where the store lasts. */
export type Connections = {
  /** Adds a connection, or replaces the one of its `connectionId`, but for one that has ended by one that is active. */
  save(connection: Connection): Promise<void>;
  /** All that are kept, the oldest first. At least the last {@link MAX_ENDED} that have ended are kept. */
  list(): Promise<Connection[]>;
  close(): Promise<void>;
};

/** Ended connections that a store keeps; older ones are forgotten. */
export const MAX_ENDED = MAX_ENDED_CONNECTIONS;

/** Creates a {@link Connections} that forgets everything with its process. */
export function createMemoryConnections(): Connections {
  const byId = new Map<string, Connection>();

  return {
    async save(connection) {
      const known = byId.get(connection.connectionId);
      if (known && known.status !== 'ACTIVE' && connection.status === 'ACTIVE') return;
      byId.set(connection.connectionId, { ...connection });
      const ended = [...byId.values()].filter(({ status }) => status !== 'ACTIVE');
      for (const { connectionId } of ended.slice(0, -MAX_ENDED)) byId.delete(connectionId);
    },
    list: async () => [...byId.values()].map((connection) => ({ ...connection })),
    async close() {},
  };
}
