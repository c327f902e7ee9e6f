/**
 * Cuts off whatever a server has open. Its own `closeAllConnections()` does not know connections in a TLS handshake,
 * which would keep it from closing until the handshake's time is over.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

const openSockets = new WeakMap<Server, Set<Socket>>();

/** Before the server listens: remembers its connections, each until it is closed. */
export function keepSockets(server: Server): void {
  const sockets = new Set<Socket>();
  openSockets.set(server, sockets);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
}

/** Cuts off every connection of a server whose sockets are kept. */
export function cutOff(server: Server): void {
  server.closeAllConnections();
  for (const socket of openSockets.get(server) ?? []) socket.destroy();
}
