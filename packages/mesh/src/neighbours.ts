/**
 * The neighbours of a site: connects to them, takes their Connects, and keeps them connected.
 *
 * A Connect works both ways: each side may call the other from then on, at the address that it named. Sites of Waybill say in
 * the metadata of a Connect which collector they are; a peer that does not is sent a Connect in turn, whose answer tells.
 * What ends a connection in order is a Connect that shares nothing, with {@link GOODBYE} in its metadata.
 */
import { randomUUID } from 'node:crypto';
import { AppError, toAppError } from '@waybill/common/errors.ts';
import { isCollectorId } from './collector-id.ts';
import type { Connection, Connections } from './connections.ts';
import { createGoodbyes } from './goodbyes.ts';
import { keepConnected } from './keep-connected.ts';
import { BAD_REQUEST, type ConnectRequest, type ConnectResponse, FAILED, failure, OK } from './messages.ts';
import type { CallOptions } from './methods.ts';
import { createNeighbour, type MeshLog, type Neighbour } from './neighbour.ts';
import { observeNeighbours } from './observe-neighbours.ts';
import type { OpenPeer } from './peer.ts';
import { isPeerAddress } from './peer-address.ts';
import { createRecorder } from './record-connections.ts';
import type { PeerAt } from './trust.ts';

/** Metadata of a Connect: the collector id of who sends it. */
const COLLECTOR_ID = 'collector_id';
/** Metadata of a Connect that ends a connection: `disconnect` for good, `shutdown` until its sender is back. */
const GOODBYE = 'waybill-goodbye';
/** The reason of connections that ended with this process, in order. */
const OWN_SHUTDOWN = 'this site shut down';
/** The reasons of those that are not to be made again. */
const OWN_DISCONNECT = 'this site disconnected';
const PEER_DISCONNECT = 'the peer disconnected';
const CONNECT_MS = 5_000;
const GOODBYE_MS = 1_000;
/** Peers of one site. */
const MAX_NEIGHBOURS = 256;
const MAX_NAMESPACES = 1_000;
/** Characters of what a peer says that are logged, and kept. */
const MAX_REASON_LENGTH = 200;

export type Neighbours = {
  /** Those that calls may be routed to. */
  active(): Neighbour[];
  /** Whether it shuts down, or has. */
  isStopping(): boolean;
  /**
   * Connects to the collector at `address`, or again. `isPersistent`: tries on, with back-off, where it does not succeed.
   *
   * @throws AppError `invalid-request` when the address is none or its own, `forbidden` when no peer may be there; `not-accepted` when nobody answers there as a collector should.
   */
  connectTo(
    address: string,
    options?: { isPersistent?: boolean } & Partial<CallOptions>,
  ): Promise<Connection>;
  /** Takes a Connect; never rejects. `callerId` is who its sender has shown to be, where it had to. */
  accept(request: ConnectRequest, callerId?: string): Promise<ConnectResponse>;
  /**
   * Says goodbye for good, also to a peer that has failed and is tried again, and resolves with its connection. A peer that does not
   * hear it is told on in the background.
   *
   * @throws AppError `not-found` when it is not that of a peer which is connected, or tried.
   */
  disconnect(connectionId: string): Promise<Connection>;
  /** Tells every active neighbour the namespaces of this site. */
  announce(): Promise<void>;
  /** What was active when an earlier session ended becomes STALE, and is connected again by itself. */
  recover(): Promise<void>;
  /** Says goodbye to all, until this site is back. */
  shutdown(): Promise<void>;
};

/** Creates the neighbours of the site `id`, which peers call at `address`. */
export function createNeighbours({
  id,
  address: ownAddress,
  namespaces,
  connections: store,
  openPeer,
  peerAt,
  checkMs,
  log,
}: {
  id: string;
  address: string;
  namespaces(): readonly string[];
  connections: Connections;
  openPeer: OpenPeer;
  peerAt: PeerAt;
  /** How often each neighbour is asked whether it is there. */
  checkMs?: number;
  log: MeshLog;
}): Neighbours {
  const sessionId = randomUUID();
  const { record, close: closeRecorder } = createRecorder({ store, log });
  const byAddress = new Map<string, Neighbour>();
  let isStopping = false;
  const stopObserving = observeNeighbours(() => byAddress.values());
  const active = () => [...byAddress.values()].filter((neighbour) => neighbour.isActive());

  /** The namespaces of this site that the peer at `address` may have. */
  function sharedWith(address: string): string[] {
    const permitted = peerAt(address)?.namespaces;
    return namespaces().filter((name) => permitted?.includes(name) ?? true);
  }

  function neighbourAt(address: string): Neighbour {
    // A peer that is said goodbye to connects again at once.
    if (isStopping) throw new AppError('not-accepted', 'this site shuts down');
    const known = byAddress.get(address);
    if (known) return known;
    if (byAddress.size >= MAX_NEIGHBOURS) throw new AppError('rate-limited', 'too many connections');
    // Whoever may be at an address chooses its id, and metrics are kept by what names them.
    const name = peerAt(address)?.id ?? address;
    const neighbour = createNeighbour({ address, name, sessionId, record, openPeer, log });
    byAddress.set(address, neighbour);
    return neighbour;
  }

  function forget(neighbour: Neighbour): void {
    leave(neighbour);
    neighbour.close();
  }

  /** From now on it is a new neighbour that a Connect from its address, or to it, settles. */
  function leave(neighbour: Neighbour): void {
    neighbour.stop();
    if (byAddress.get(neighbour.address) === neighbour) byAddress.delete(neighbour.address);
  }

  const kept = new WeakSet<Neighbour>();
  function keep(neighbour: Neighbour): void {
    if (kept.has(neighbour)) return;
    kept.add(neighbour);
    const again = (options: Partial<CallOptions>) => dial(neighbour, options);
    const giveUp = () => forget(neighbour);
    const { address, name } = neighbour;
    const onFailed = (reason: string) =>
      log.warn({ peer_address: address, peer: name, reason }, 'peer of the mesh cannot be reached');
    void keepConnected(neighbour, { dial: again, giveUp, onFailed, checkMs });
  }

  /** @param isAsked whether somebody has asked for the connection, who then wants it kept. */
  async function dial(
    neighbour: Neighbour,
    options: Partial<CallOptions> = {},
    isAsked = false,
  ): Promise<Readonly<Connection>> {
    const metadata = { [COLLECTOR_ID]: id };
    const request = { address: ownAddress, namespaces: sharedWith(neighbour.address), metadata };
    const { status, shared_namespaces, target_collector_id } = await neighbour.connect(request, {
      deadlineMs: CONNECT_MS,
      ...options,
    });
    if (status.code !== OK)
      throw new AppError(
        'not-accepted',
        `the peer refuses to connect: ${status.message.slice(0, MAX_REASON_LENGTH)}`,
      );
    if (target_collector_id === id)
      throw new AppError('invalid-request', 'this collector is at that address');
    if (!isCollectorId(target_collector_id))
      throw new AppError('not-accepted', 'the peer does not say who it is');
    const expected = peerAt(neighbour.address)?.id ?? target_collector_id;
    if (target_collector_id !== expected)
      throw new AppError('not-accepted', `the collector there is not '${expected}'`);
    if (neighbour.signal.aborted) throw new AppError('not-accepted', 'this site disconnects');
    if (isAsked) neighbour.want();
    const sharedNamespaces = sharedOf(shared_namespaces, request.namespaces);
    const settling = neighbour.settle({ peerId: target_collector_id, sharedNamespaces });
    // They may have changed since they were told.
    if (`${sharedWith(neighbour.address)}` !== `${request.namespaces}`) neighbour.noteForgotten();
    return settling;
  }

  function tell(neighbour: Neighbour, kind: 'disconnect' | 'shutdown'): Promise<unknown> {
    const metadata = { [COLLECTOR_ID]: id, [GOODBYE]: kind };
    const request = { address: ownAddress, namespaces: [], metadata };
    return neighbour.connect(request, { deadlineMs: GOODBYE_MS });
  }

  async function shutDown(neighbour: Neighbour): Promise<void> {
    leave(neighbour);
    // A peer that does not hear it finds out.
    await tell(neighbour, 'shutdown').catch(() => {});
    await neighbour.end('DISCONNECTED', OWN_SHUTDOWN);
    neighbour.close();
  }

  const goodbyes = createGoodbyes((neighbour) => tell(neighbour, 'disconnect'));

  /** This site may know its peer by another address than the peer does. */
  async function takeGoodbye(address: string, peerId: string, kind: string): Promise<void> {
    const isOf = (one: Neighbour) => one.address === address || (peerId !== '' && one.peerId() === peerId);
    await Promise.all(
      [...byAddress.values()].filter(isOf).map(async (neighbour) => {
        if (kind === 'shutdown') return neighbour.end('DISCONNECTED', 'the peer shut down');
        leave(neighbour);
        await neighbour.endForGood(PEER_DISCONNECT);
        neighbour.close();
      }),
    );
  }

  return {
    active,
    isStopping: () => isStopping,
    async connectTo(address, { isPersistent = false, ...options } = {}) {
      if (!isPeerAddress(address)) throw new AppError('invalid-request', 'address must be host:port');
      if (address === ownAddress) throw new AppError('invalid-request', 'this collector is at that address');
      if (!peerAt(address)) throw new AppError('forbidden', 'no peer may be at that address');
      await goodbyes.cancel(address);
      const neighbour = neighbourAt(address);
      neighbour.hold();
      try {
        const connection = await dial(neighbour, options, true);
        keep(neighbour);
        return { ...connection };
      } catch (thrown) {
        const { code, message } = toAppError(thrown);
        if (isPersistent && code !== 'invalid-request') {
          neighbour.want();
          keep(neighbour);
        }
        if (!neighbour.isActive()) await record(failed(address, sessionId, message));
        throw thrown;
      } finally {
        neighbour.release();
        if (!kept.has(neighbour) && !neighbour.isHeld()) forget(neighbour);
      }
    },
    async accept({ address, namespaces: offered, metadata }, callerId) {
      if (!address) return refused(BAD_REQUEST, 'address is required');
      if (!isPeerAddress(address)) return refused(BAD_REQUEST, 'address must be host:port');
      const peerId = metadata[COLLECTOR_ID] || callerId || '';
      if (peerId === id || address === ownAddress)
        return refused(BAD_REQUEST, 'this collector does not connect to itself');
      const trusted = peerAt(address);
      if (!trusted || (trusted.id !== undefined && trusted.id !== callerId))
        return refused(BAD_REQUEST, 'address is none that the caller may have');
      if (peerId !== (trusted.id ?? peerId))
        return refused(BAD_REQUEST, 'collector_id is not that of the caller');
      if (peerId && !isCollectorId(peerId)) return refused(BAD_REQUEST, 'collector_id is none');
      const goodbye = metadata[GOODBYE];
      if (goodbye !== undefined) {
        await takeGoodbye(address, peerId, goodbye);
        return accepted('', []);
      }
      if (goodbyes.isLeaving(address, peerId)) return refused(FAILED, OWN_DISCONNECT);
      if (offered.length > MAX_NAMESPACES) return refused(BAD_REQUEST, 'too many namespaces');
      try {
        const shared = sharedOf(offered, sharedWith(address));
        const neighbour = neighbourAt(address);
        const settled = { peerId: peerId || neighbour.peerId(), sharedNamespaces: shared };
        neighbour.noteHeard();
        const settling = neighbour.settle(settled);
        keep(neighbour);
        return accepted((await settling).connectionId, shared);
      } catch (thrown) {
        return refused(FAILED, toAppError(thrown).message);
      }
    },
    async disconnect(connectionId) {
      const isOf = (one: Neighbour) => one.connection()?.connectionId === connectionId;
      const neighbour = [...byAddress.values()].find(isOf);
      const connection = neighbour?.connection();
      if (!neighbour || !connection)
        throw new AppError('not-found', `there is no active connection ${connectionId}`);
      leave(neighbour);
      await goodbyes.say(neighbour, OWN_DISCONNECT);
      return { ...connection };
    },
    async announce() {
      // A peer that does not hear it now is told until it does.
      await Promise.all(active().map((neighbour) => dial(neighbour).catch(neighbour.noteForgotten)));
    },
    async recover() {
      const newest = new Map<string, Connection>();
      for (const listed of await store.list()) {
        const isEarlier = listed.sessionId !== sessionId;
        const connection = isEarlier && listed.status === 'ACTIVE' ? toStale(listed) : listed;
        if (connection !== listed) await store.save(connection);
        if (!isMereTry(connection)) newest.set(connection.address, connection);
      }
      for (const connection of newest.values()) {
        const { address, direction } = connection;
        if (connection.sessionId === sessionId || !isToBeConnected(connection)) continue;
        if (!peerAt(address) || byAddress.size >= MAX_NEIGHBOURS) continue;
        const neighbour = neighbourAt(address);
        neighbour.recall(connection);
        if (direction === 'outbound') neighbour.want();
        keep(neighbour);
      }
    },
    async shutdown() {
      isStopping = true;
      stopObserving();
      await goodbyes.close();
      await Promise.all(active().map(shutDown));
      for (const neighbour of byAddress.values()) forget(neighbour);
      await closeRecorder();
    },
  };

  function accepted(connectionId: string, shared: string[]): ConnectResponse {
    return {
      status: { code: OK, message: `Connected with ${shared.length} shared namespaces`, details: {} },
      connection_id: connectionId,
      shared_namespaces: shared,
      target_collector_id: id,
    };
  }

  function refused(code: number, message: string): ConnectResponse {
    const nothing = { connection_id: '', shared_namespaces: [], target_collector_id: id };
    return { status: failure(code, message), ...nothing };
  }
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

const STALE_REASON = 'its process ended without a goodbye';

function toStale(connection: Connection): Connection {
  const end = { status: 'STALE' as const, reason: STALE_REASON, endedAt: new Date().toISOString() };
  return { ...connection, ...end };
}

/** In the caller's order, each once. */
function sharedOf(offered: readonly string[], own: readonly string[]): string[] {
  return [...new Set(offered)].filter((name) => own.includes(name));
}

function failed(address: string, sessionId: string, reason: string): Connection {
  const at = new Date().toISOString();
  return {
    ...{ connectionId: randomUUID(), sessionId, direction: 'outbound', address, peerId: '' },
    ...{ sharedNamespaces: [], status: 'FAILED', connectedAt: at, endedAt: at, reason },
    ...{ calls: 0, failedCalls: 0, bytesSent: 0, bytesReceived: 0 },
  };
}
