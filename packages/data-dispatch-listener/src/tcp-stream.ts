/**
 * The dataset over TCP: from the moment a client connects it is sent every batch, as a line of JSON each, from 0 to the
 * last, and then the connection is closed. What a client sends is ignored. A fault is told in a last line
 * `{"error": <problem>}` (RFC 9457) before the connection is closed.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { AppError } from '@waybill/common/errors.ts';
import { problemFor, toProblem } from '@waybill/common/problem.ts';
import { within } from '@waybill/common/within.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import type { Logger } from 'pino';
import { createSocketSink } from './socket-sink.ts';
import { type ReadBatch, streamBatches } from './stream-batches.ts';

/** How long readers may go on when the process stops, and then take to read why it ended: 2 s of the drain of events. */
const READERS_END_MS = 1_000;
/** Lines that the system still holds for a reader after the last one is written: Linux buffers up to 4 MB. */
const LINES_IN_BUFFERS = 40;
/** How long one reader too many may take to read so. */
const REFUSAL_MS = 1_000;
/** Readers too many that are told so at once; further ones are closed without a word. */
const MAX_REFUSALS = 100;

export type TcpStream = {
  port: number;
  /** Takes no more readers; those that are not done shortly are told so in an error line. */
  close(): Promise<void>;
};

/** Starts listening. Rejects when the port is taken. */
export async function createTcpStream({
  host,
  port,
  maxConnections,
  stallMs,
  read,
  log,
}: {
  host: string;
  port: number;
  /** One more reader is told so, and closed. */
  maxConnections: number;
  /** How long a reader may take for one line, in milliseconds. */
  stallMs: number;
  read: ReadBatch;
  log: Logger;
}): Promise<TcpStream> {
  const serving = new Set<Promise<void>>();
  /** Of those, the ones that are not sent everything yet. */
  let active = 0;
  const stopping = new AbortController();

  async function serve(socket: Socket): Promise<void> {
    const clientId = `client_${socket.remoteAddress}:${socket.remotePort}`;
    const sink = createSocketSink({ socket, clientId, stallMs });
    const fields = { client_id: clientId };
    active += 1;
    try {
      await streamBatches({ read, sink, from: 0, isOver: () => false, signal: stopping.signal });
      log.info(fields, 'dataset streamed');
    } catch (error) {
      log.warn({ ...fields, err: error }, 'stream ended early');
      socket.write(toErrorLine(error));
    } finally {
      active -= 1;
    }
    await closed(socket, stallMs * LINES_IN_BUFFERS);
  }

  function refuse(socket: Socket): void {
    socket.end(toErrorLine(new AppError('not-accepted', 'there are too many readers')));
    setTimeout(() => socket.destroy(), REFUSAL_MS).unref();
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    // Read, to notice the end; and a client that sends must not wait for ever.
    socket.resume();
    if (active >= maxConnections) return refuse(socket);
    const served = serve(socket);
    serving.add(served);
    void served.finally(() => serving.delete(served));
  });
  server.maxConnections = 2 * maxConnections + MAX_REFUSALS;
  server.listen(port, host);
  await once(server, 'listening');
  // A connection that cannot be accepted, as no more files may be open, must not end the process.
  server.on('error', () => {});
  const { port: bound } = server.address() as AddressInfo;
  return { port: bound, close: () => close(server, serving, stopping) };
}

async function close(server: Server, serving: Set<Promise<void>>, stopping: AbortController): Promise<void> {
  server.close();
  if (await within(READERS_END_MS, Promise.all(serving))) return;
  stopping.abort(new AppError('not-accepted', 'the service is stopping: connect again, to another instance'));
  await within(READERS_END_MS, Promise.all(serving));
}

/** Ends the connection; a reader that does not take the rest within `lingerMs`, or close its side, is cut off. */
async function closed(socket: Socket, lingerMs: number): Promise<void> {
  if (socket.destroyed) return;
  // Not `once`, which rejects when an error comes first.
  const isClosed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.end();
  if (!(await within(lingerMs, isClosed))) socket.resetAndDestroy();
}

function toErrorLine(error: unknown): string {
  return `${JSON.stringify({ error: toLineProblem(error) })}\n`;
}

/** Only our own errors were written for a reader's eyes. */
function toLineProblem(error: unknown) {
  if (error instanceof TerminalError)
    return problemFor('handler-failed', error.message, { error_code: error.code });
  return error instanceof AppError ? toProblem(error) : problemFor('unexpected');
}
