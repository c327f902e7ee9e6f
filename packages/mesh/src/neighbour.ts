/** One neighbour: a peer that this site is, was or wants to be connected to, by its address. */
import { createConnectionRecord, type EndStatus, type Settled } from './connection-record.ts';
import type { Connection } from './connections.ts';
import { counted } from './count-calls.ts';
import { createLink, type Link } from './link.ts';
import type { ServeRequest, ServeResponse } from './messages.ts';
import type { CallOptions } from './methods.ts';
import type { OpenPeer, Peer } from './peer.ts';
import type { Recorder } from './record-connections.ts';

/** Where a site says what becomes of its connections. */
export type MeshLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
};

export type Neighbour = Pick<Link, 'inFlight' | 'isClosed' | 'check'> &
  Pick<Peer, 'connect'> & {
    address: string;
    /** What metrics call it. */
    name: string;
    /** Of its newest connection; undefined before the first. */
    connection(): Readonly<Connection> | undefined;
    isActive(): boolean;
    /** Has it known that this site wants to be connected to it for as long as it is not stopped, and not its peer alone. */
    want(): void;
    isWanted(): boolean;
    /** Whether it may not know what this site shares, so that it has to be told again: it has lost it, or did not hear it. */
    isForgotten(): boolean;
    noteForgotten(): void;
    /** When it was last heard of, by an answer to a call or a health check, or by {@link noteHeard}; by `performance.now()`. */
    heardMs(): number;
    /** Notes that it has called this site. */
    noteHeard(): void;
    /** Whether its last health check was not answered. */
    isSilent(): boolean;
    noteHealth(isSilent: boolean): void;
    /** The collector id; empty while it is not known, and while there is no connection. */
    peerId(): string;
    /** Notes what a Connect settled: in its active connection, else in a new one. Resolves once the record is saved, or the store takes long. */
    settle(settled: Settled): Promise<Readonly<Connection>>;
    /** Takes a connection of an earlier session for its newest one. */
    recall(earlier: Connection): void;
    /** Ends its active connection, and drops the way to it, as it may be half-open. */
    end(status: EndStatus, reason: string): Promise<void>;
    /** Ends its active connection for good; of one that has ended before, the reason is now this one. */
    endForGood(reason: string): Promise<void>;
    /** Saves the counts of its connection where they have changed. */
    saveCounts(): Promise<void>;
    /** As {@link Link.serve}, counted and measured. */
    serve(request: ServeRequest, options: CallOptions): Promise<ServeResponse>;
    /** Has it known that somebody waits to be connected to it, until as many `release`. */
    hold(): void;
    release(): void;
    isHeld(): boolean;
    /** Aborts once it is to be connected no more. */
    signal: AbortSignal;
    stop(): void;
    /** Stops, and drops the way to it. */
    close(): void;
  };

/** Creates the neighbour at `address`. */
export function createNeighbour({
  address,
  name,
  sessionId,
  record,
  openPeer,
  log,
}: {
  address: string;
  /** What metrics call it. */
  name: string;
  sessionId: string;
  record: Recorder['record'];
  openPeer: OpenPeer;
  log: MeshLog;
}): Neighbour {
  const stopping = new AbortController();
  let isWanted = false;
  let isForgotten = false;
  let isSilent = false;
  let calledMs = 0;
  let holders = 0;
  let peer = open();
  const link = createLink({
    serve: (request, options) => peer.serve(request, options),
    check: (options) => peer.check(options),
  });
  const connections = createConnectionRecord({ address, sessionId, record, log });
  const { isActive } = connections;

  function open(): Peer {
    return openPeer(address, () => {
      isForgotten = true;
    });
  }

  async function end(status: EndStatus, reason: string): Promise<void> {
    peer.close();
    peer = open();
    return connections.end(status, reason);
  }

  /** A call may end after the connection that it went over, and then nothing else saves that it has. */
  function onCounted(over: Connection): void {
    if (over.status !== 'ACTIVE') void record(over);
  }

  return {
    address,
    name,
    signal: stopping.signal,
    inFlight: link.inFlight,
    isClosed: link.isClosed,
    heardMs: () => Math.max(calledMs, link.heardMs()),
    noteHeard() {
      calledMs = performance.now();
    },
    check: link.check,
    connect: (request, options) => peer.connect(request, options),
    connection: connections.newest,
    isActive,
    want() {
      isWanted = true;
    },
    isWanted: () => isWanted,
    isForgotten: () => isForgotten,
    noteForgotten() {
      isForgotten = true;
    },
    isSilent: () => isSilent,
    noteHealth(next) {
      isSilent = next;
    },
    peerId: () => (isActive() ? (connections.newest()?.peerId ?? '') : ''),
    settle(settled) {
      isForgotten = false;
      return connections.settle({ ...settled, direction: isWanted ? 'outbound' : 'inbound' });
    },
    recall: connections.recall,
    end,
    endForGood: (reason) => (isActive() ? end('DISCONNECTED', reason) : connections.explain(reason)),
    saveCounts: connections.saveCounts,
    serve: (request, options) =>
      counted(link.serve(request, options), request, { name, connection: connections.newest(), onCounted }),
    hold() {
      holders += 1;
    },
    release() {
      holders -= 1;
    },
    isHeld: () => holders > 0,
    stop: () => stopping.abort(),
    close() {
      stopping.abort();
      peer.close();
    },
  };
}
