/**
 * The neighbours of a site: those that it is connected to, and those that it tries. Here is what a site is told to do with them; who
 * changes what:
 *
 * - {@link createKnownNeighbours}: which there are, by their addresses.
 * - {@link createDial}, {@link createAcceptConnect}: the two sides of a Connect. It works both ways: each side may call the other
 *   from then on, at the address that it named. Sites of Waybill say in its metadata which collector they are; a peer that does not
 *   is sent a Connect in turn, whose answer tells.
 * - {@link createKeeper}: which are asked whether they are there, and connected again.
 * - {@link createGoodbyes}: ends in order.
 * - {@link recover}: what is left of earlier sessions.
 */
import { randomUUID } from 'node:crypto';
import { AppError, toAppError } from '@waybill/common/errors.ts';
import { type AcceptConnect, createAcceptConnect } from './accept-connect.ts';
import { toFailed } from './connection-record.ts';
import type { Connection, Connections } from './connections.ts';
import { createDial } from './dial.ts';
import { createGoodbyes } from './goodbyes.ts';
import { createKeeper } from './keeper.ts';
import { createKnownNeighbours } from './known-neighbours.ts';
import type { CallOptions } from './methods.ts';
import type { MeshLog, Neighbour } from './neighbour.ts';
import type { OpenPeer } from './peer.ts';
import { isPeerAddress } from './peer-address.ts';
import { createRecorder } from './record-connections.ts';
import { recover } from './recover.ts';
import { createThisSite, type ThisSite } from './this-site.ts';
import type { PeerAt } from './trust.ts';

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
  accept: AcceptConnect;
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
  connections: store,
  openPeer,
  checkMs,
  log,
  ...own
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
  const { peerAt } = own;
  const sessionId = randomUUID();
  const site = createThisSite(own);
  const { record, close: closeRecorder } = createRecorder({ store, log });
  const known = createKnownNeighbours({ sessionId, record, openPeer, peerAt, log });
  const dial = createDial(site);
  const keeper = createKeeper({ dial, giveUp: known.forget, checkMs, log });
  const goodbyes = createGoodbyes({ site, known });

  /** Connects to `neighbour` for somebody who has asked for it, and keeps it. */
  async function connect(neighbour: Neighbour, options: Partial<CallOptions>, isPersistent: boolean) {
    try {
      const connection = await dial(neighbour, options, true);
      keeper.keep(neighbour);
      return { ...connection };
    } catch (thrown) {
      const { code, message } = toAppError(thrown);
      if (isPersistent && code !== 'invalid-request') {
        neighbour.want();
        keeper.keep(neighbour);
      }
      if (!neighbour.isActive()) await record(toFailed(neighbour.address, sessionId, message));
      throw thrown;
    }
  }

  return {
    active: known.active,
    isStopping: known.isStopping,
    async connectTo(address, { isPersistent = false, ...options } = {}) {
      checkAddress(address, site);
      await goodbyes.cancel(address);
      const neighbour = known.at(address);
      neighbour.hold();
      try {
        return await connect(neighbour, options, isPersistent);
      } finally {
        neighbour.release();
        if (!keeper.isKept(neighbour) && !neighbour.isHeld()) known.forget(neighbour);
      }
    },
    accept: createAcceptConnect({ site, known, keeper, goodbyes }),
    async disconnect(connectionId) {
      const neighbour = known.all().find((one) => one.connection()?.connectionId === connectionId);
      const connection = neighbour?.connection();
      if (!neighbour || !connection)
        throw new AppError('not-found', `there is no active connection ${connectionId}`);
      await goodbyes.sayForGood(neighbour);
      return { ...connection };
    },
    async announce() {
      // A peer that does not hear it now is told until it does.
      await Promise.all(known.active().map((neighbour) => dial(neighbour).catch(neighbour.noteForgotten)));
    },
    recover: () => recover({ store, sessionId, peerAt, known, keeper }),
    async shutdown() {
      known.stop();
      await goodbyes.close();
      await Promise.all(known.active().map(goodbyes.sayShutdown));
      for (const neighbour of known.all()) known.forget(neighbour);
      await closeRecorder();
    },
  };
}

/** @throws AppError when no peer may be at `address`. */
function checkAddress(address: string, site: ThisSite): void {
  if (!isPeerAddress(address)) throw new AppError('invalid-request', 'address must be host:port');
  if (address === site.address) throw new AppError('invalid-request', 'this collector is at that address');
  if (!site.peerAt(address)) throw new AppError('forbidden', 'no peer may be at that address');
}
