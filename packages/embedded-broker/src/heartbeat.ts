import type { Socket } from 'node:net';

/** A silent peer is given up after two intervals (AMQP 0-9-1, section 4.2.7), noticed within half of one. */
const SILENT_HALVES = 4;

/**
 * Sends a heartbeat after half an interval without another write, and gives the peer up when it is silent. Returns
 * how to stop. An interval of 0 means none of both.
 *
 * @param options.isReading false while we ourselves do not read: silence proves nothing then.
 */
export function startHeartbeat(options: {
  socket: Socket;
  intervalS: number;
  isReading(): boolean;
  sendHeartbeat(): void;
  onSilence(): void;
}): () => void {
  const { socket, intervalS } = options;
  if (intervalS === 0) return () => {};
  let [read, written, silentHalves] = [socket.bytesRead, socket.bytesWritten, 0];

  const timer = setInterval(() => {
    if (socket.bytesWritten === written) options.sendHeartbeat();
    silentHalves = socket.bytesRead === read && options.isReading() ? silentHalves + 1 : 0;
    [read, written] = [socket.bytesRead, socket.bytesWritten];
    if (silentHalves >= SILENT_HALVES) options.onSilence();
  }, intervalS * 500);
  return () => clearInterval(timer);
}
