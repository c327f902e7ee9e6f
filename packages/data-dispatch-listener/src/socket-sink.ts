/** Batches onto a TCP connection: a line of JSON each, no faster than the reader reads. */
import type { Socket } from 'node:net';
import { AppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import type { Batch, Sink } from './stream-batches.ts';

/**
 * Creates the sink of one connection. A line that the reader has not taken within `stallMs` ends the connection.
 *
 * `send` rejects with AppError `client-gone` then, and when the connection has broken.
 */
export function createSocketSink({
  socket,
  clientId,
  stallMs,
}: {
  socket: Socket;
  clientId: string;
  stallMs: number;
}): Sink {
  return {
    async send(batch) {
      const written = write(socket, toLine(batch, clientId));
      if (await within(stallMs, written)) return;
      socket.resetAndDestroy();
      throw new AppError('client-gone', `the reader took nothing for ${stallMs} ms`);
    },
    // Each line has left this process when `send` resolves.
    async flush() {},
  };
}

/** `batch_id` and `batch_index` are the same: one is documented, the other is what existing clients read. */
function toLine({ index, isLast, base64 }: Batch, clientId: string): Buffer {
  const start = `{"batch_id":${index},"batch_index":${index},"batch_data":["`;
  const end = `"],"client_id":${JSON.stringify(clientId)},"EOF":${isLast}}\n`;
  return Buffer.concat([Buffer.from(start), base64, Buffer.from(end)]);
}

/** The callback of `write` comes when the system has taken all of it, which is when the reader keeps up. */
function write(socket: Socket, line: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new AppError('client-gone', 'the connection was closed'));
    if (socket.destroyed) return onClose();
    socket.once('close', onClose);
    socket.write(line, (error) => {
      socket.off('close', onClose);
      if (error) reject(new AppError('client-gone', 'the connection broke', { cause: error }));
      else resolve();
    });
  });
}
