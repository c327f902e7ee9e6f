import type { WebSocket } from 'ws';

/** How long a client may take to close its half, once we have closed ours. */
const CLOSE_MS = 2_000;
/** How long a client may take to read a message, however steadily it reads. */
const READ_MS = 30_000;

/** Closes a socket; of a client that does not close its own half the connection is cut off. */
export function endSocket(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, reason);
  const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
  socket.once('close', () => clearTimeout(timer));
}

/** Finds out that nobody is at the other end of a socket, or reads nothing. */
export type SocketWatch = {
  /** Sends a message; `onWritten` is called once it has left, or the socket has closed. */
  send(text: string, onWritten: () => void): void;
  /** Asks whether the client is there; cuts off one that has not answered the last time, or reads nothing. */
  check(): void;
};

/** Creates the {@link SocketWatch} of a socket. */
export function createSocketWatch(socket: WebSocket): SocketWatch {
  let isHeard = true;
  /** When the messages were written that the client has not read yet, the oldest first. */
  const unreadSinceMs: number[] = [];
  const hear = () => {
    isHeard = true;
  };
  socket.on('message', hear).on('pong', hear);

  return {
    send(text, onWritten) {
      unreadSinceMs.push(performance.now());
      socket.send(text, () => {
        unreadSinceMs.shift();
        onWritten();
      });
    },
    check() {
      const [oldestMs = Number.POSITIVE_INFINITY] = unreadSinceMs;
      const isStuck = performance.now() - oldestMs > READ_MS;
      // While nothing is read from it, its pongs are not either.
      if (isStuck || (!isHeard && !socket.isPaused)) return socket.terminate();
      isHeard = false;
      socket.ping();
    },
  };
}
