import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';

/** What a connection through the proxy suffers. */
export type Fault = {
  /** Which way bytes, and the end of the connection, vanish without a trace: the half-open connection. */
  drop?: 'to-server' | 'to-client' | 'both';
  /** How long each chunk is held up, either way; their order stays. */
  delayMs?: number;
  /** Bytes per write, either way: 1 tears every frame apart. */
  sliceBytes?: number;
  /** Bytes per second of each connection, each way; one that heals goes on at once with what it holds back. */
  bytesPerS?: number;
  /** The connection is reset once so many bytes have gone to the client. */
  resetAfterBytes?: number;
  /** As {@link resetAfterBytes}, but from there on nothing more goes to the client. */
  dropAfterBytes?: number;
  /** Replaces what the server sends; the result goes out in one write. */
  rewrite?(chunk: Buffer): Buffer;
};

/** A TCP proxy on loopback that treats connections as networks do. */
export type TcpProxy = {
  port: number;
  /** `url` with the proxy in place of its host and port. */
  through(url: string): string;
  /** Where connections go to from now on; open ones stay where they are. */
  retarget(url: string): void;
  /** The fault of every connection, open ones as well, from now on; `{}` heals. */
  setFault(fault: Fault): void;
  /** The fault of the next connection only, for its whole life. */
  setNextFault(fault: Fault): void;
  /** Resets (RST) every open connection. */
  reset(): void;
  /** Connections accepted so far. */
  accepted(): number;
  /** Connections open now. */
  open(): number;
  /** Bytes sent to the client of the last accepted connection. */
  bytesToClient(): number;
  close(): Promise<void>;
};

/**
 * Starts a proxy.
 *
 * @param options.target a URL with the host and port that connections go to.
 * @param options.host where it listens; default `127.0.0.1`.
 * @param options.port default: a free one.
 */
export async function startTcpProxy({
  target,
  host = '127.0.0.1',
  port = 0,
}: {
  target: string;
  host?: string;
  port?: number;
}): Promise<TcpProxy> {
  let upstream = new URL(target);
  const links = new Set<Link>();
  const nextFaults: Fault[] = [];
  let shared: Fault = {};
  let accepted = 0;
  let last: Link | undefined;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    accepted += 1;
    const own = nextFaults.shift();
    const upstreamSocket = connect({
      host: upstream.hostname.replace(/^\[|\]$/g, ''),
      port: Number(upstream.port),
      allowHalfOpen: true,
      noDelay: true,
    });
    const link = createLink(client, upstreamSocket, () => own ?? shared);
    last = link;
    links.add(link);
    link.ended.finally(() => links.delete(link));
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;

  return {
    port: address.port,
    through(url) {
      const copy = new URL(url);
      copy.hostname = host.includes(':') ? `[${host}]` : host;
      copy.port = String(address.port);
      return copy.href;
    },
    retarget(url) {
      upstream = new URL(url);
    },
    setFault(fault) {
      shared = fault;
    },
    setNextFault: (fault) => void nextFaults.push(fault),
    reset: () => links.forEach((link) => void link.reset()),
    accepted: () => accepted,
    open: () => links.size,
    bytesToClient: () => last?.bytesToClient() ?? 0,
    async close() {
      server.close();
      for (const link of links) link.reset();
      await once(server, 'close');
    },
  };
}

/** A throttled connection carries its bytes in so many parts, so that a fault which ends is soon over. */
const SLICES_PER_S = 20;

type Link = { reset(): void; bytesToClient(): number; ended: Promise<unknown> };

function createLink(client: Socket, server: Socket, fault: () => Fault): Link {
  let sentToClient = 0;

  function reset(): void {
    for (const socket of [client, server]) {
      // One that has ended its side cannot be reset any more, and would stay open.
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  /** What of `chunk` the client gets; may end the connection. */
  function toClient(chunk: Buffer): Buffer {
    const { rewrite, resetAfterBytes = Infinity, dropAfterBytes = Infinity } = fault();
    const allowed = Math.min(resetAfterBytes, dropAfterBytes) - sentToClient;
    const sent = (rewrite?.(chunk) ?? chunk).subarray(0, Math.max(0, allowed));
    sentToClient += sent.length;
    return sent;
  }

  async function pump(from: Socket, to: Socket, direction: 'to-server' | 'to-client'): Promise<void> {
    const isDropped = () => [direction, 'both'].includes(fault().drop ?? '');
    const isToClient = direction === 'to-client';
    // A half that has ended must not destroy the other one.
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      const { delayMs, resetAfterBytes = Infinity } = fault();
      if (delayMs) await delay(delayMs);
      if (isDropped()) continue;
      await write(to, isToClient ? toClient(chunk) : chunk, fault);
      if (isToClient && sentToClient >= resetAfterBytes) reset();
    }
    if (!isDropped() && fault().dropAfterBytes === undefined) to.end();
  }

  // A reset on one side is a reset on the other, unless it is one of those that vanish.
  const onBroken = (direction: 'to-server' | 'to-client') => {
    if (![direction, 'both'].includes(fault().drop ?? '')) reset();
  };
  const pumps = [
    pump(client, server, 'to-server').catch(() => onBroken('to-server')),
    pump(server, client, 'to-client').catch(() => onBroken('to-client')),
  ];
  for (const socket of [client, server]) socket.on('error', () => {});
  const closed = [client, server].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  return { reset, bytesToClient: () => sentToClient, ended: Promise.all([...pumps, ...closed]) };
}

/** One slice per turn of the event loop, or a receiver in this process would read several at once. */
async function write(socket: Socket, chunk: Buffer, fault: () => Fault): Promise<void> {
  for (let start = 0; start < chunk.length; ) {
    const { sliceBytes = chunk.length, bytesPerS = Infinity } = fault();
    const slice = chunk.subarray(start, start + Math.min(sliceBytes, Math.ceil(bytesPerS / SLICES_PER_S)));
    if (bytesPerS < Infinity) await delay((slice.length * 1_000) / bytesPerS);
    await new Promise<void>((resolve, reject) => {
      socket.write(slice, (error) => (error ? reject(error) : resolve()));
    });
    start += slice.length;
    if (slice.length < chunk.length) await nextTurn();
  }
}
