/** What is on record of the connections to one neighbour: one after the other, each from its Connect to its end. */
import { randomUUID } from 'node:crypto';
import type { Connection, ConnectionStatus } from './connections.ts';
import type { MeshLog } from './neighbour.ts';
import type { Recorder } from './record-connections.ts';

/** What a Connect has settled, whichever side sent it. */
export type Settled = Pick<Connection, 'peerId' | 'sharedNamespaces'>;
/** That, and who wants the connection. */
type Agreed = Settled & Pick<Connection, 'direction'>;

/** How a connection has ended. */
export type EndStatus = Exclude<ConnectionStatus, 'ACTIVE'>;

export type ConnectionRecord = {
  /** The newest connection; undefined before the first. Calls are counted in it. */
  newest(): Connection | undefined;
  isActive(): boolean;
  /** Notes what was agreed: in the active connection, else in a new one. Resolves once it is saved, or the store takes long. */
  settle(agreed: Agreed): Promise<Readonly<Connection>>;
  /** Takes a connection of an earlier session for the newest one, where there is none. */
  recall(earlier: Connection): void;
  /** Ends the active connection; nothing where there is none. */
  end(status: EndStatus, reason: string): Promise<void>;
  /** Has `reason` be why the newest connection, which has ended, did. */
  explain(reason: string): Promise<void>;
  /** Saves its counts where they have changed. */
  saveCounts(): Promise<void>;
};

/** Creates the {@link ConnectionRecord} of the neighbour at `address`. */
export function createConnectionRecord({
  address,
  sessionId,
  record,
  log,
}: {
  address: string;
  sessionId: string;
  record: Recorder['record'];
  log: Pick<MeshLog, 'info'>;
}): ConnectionRecord {
  let connection: Connection | undefined;
  let savedCalls = 0;
  const isActive = () => connection?.status === 'ACTIVE';

  async function save(): Promise<void> {
    if (!connection) return;
    savedCalls = connection.calls;
    await record(connection);
  }

  return {
    newest: () => connection,
    isActive,
    async settle(agreed) {
      if (connection?.status === 'ACTIVE') {
        if (isSame(connection, agreed)) return connection;
        Object.assign(connection, agreed);
      } else {
        connection = begin(address, sessionId, agreed);
        log.info(shown(connection), 'peer of the mesh connected');
      }
      await save();
      return connection;
    },
    recall(earlier) {
      connection ??= earlier;
    },
    async end(status, reason) {
      if (!connection || !isActive()) return;
      Object.assign(connection, { status, reason, endedAt: new Date().toISOString() });
      log.info({ ...shown(connection), status, reason }, 'connection to a peer of the mesh ended');
      await save();
    },
    async explain(reason) {
      if (!connection) return;
      connection.reason = reason;
      await save();
    },
    async saveCounts() {
      if (connection && connection.calls !== savedCalls) await save();
    },
  };
}

/** A connection to `address` that could not be made. */
export function toFailed(address: string, sessionId: string, reason: string): Connection {
  const tried = begin(address, sessionId, { peerId: '', sharedNamespaces: [], direction: 'outbound' });
  return { ...tried, status: 'FAILED', endedAt: tried.connectedAt, reason };
}

function begin(address: string, sessionId: string, agreed: Agreed): Connection {
  return {
    connectionId: randomUUID(),
    sessionId,
    address,
    ...agreed,
    status: 'ACTIVE',
    connectedAt: new Date().toISOString(),
    calls: 0,
    failedCalls: 0,
    bytesSent: 0,
    bytesReceived: 0,
  };
}

/** A peer that says again what it has said costs nothing. */
function isSame(one: Agreed, other: Agreed): boolean {
  const isSamePeer = one.peerId === other.peerId && one.direction === other.direction;
  return isSamePeer && `${one.sharedNamespaces}` === `${other.sharedNamespaces}`;
}

function shown({ connectionId, address, peerId, sharedNamespaces }: Connection): object {
  return {
    connection_id: connectionId,
    peer_address: address,
    peer_id: peerId,
    namespaces: sharedNamespaces,
  };
}
