/**
 * Cuts off whatever a server has open. `closeAllConnections()` of HTTP servers does not know connections in a TLS handshake,
 * which would keep one from closing until the handshake's time is over; gRPC servers have nothing of the kind.
 */
import type { Server, Socket } from 'node:net';

const openSockets = new WeakMap<Server, Set<Socket>>();

/** Before the server listens: remembers its connections, each until it is closed. */
export function keepSockets(server: Server): void {
  const sockets = new Set<Socket>();
  openSockets.set(server, sockets);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
}

/** Cuts off every connection of a server whose sockets are kept. */
export function cutOff(server: Server): void {
  for (const socket of openSockets.get(server) ?? []) socket.destroy();
}
