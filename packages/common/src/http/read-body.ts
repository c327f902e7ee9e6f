/**
 * The body of a request, read into one buffer that grows.
 *
 * A list of the chunks as they come would hold a Buffer and a part of a socket's read buffer for each: a chunked body of
 * 260,000 one-byte chunks took 50 to 110 MB that way. Their count is bounded too, because each one costs a turn
 * of the HTTP parser through JavaScript.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';

/** Chunks that any body may have, and how large those beyond must be on average: no client writes so little at a time. */
const FREE_CHUNKS = 1_024;
const MIN_CHUNK_BYTES = 16;

type Done = (error: Error | null, body?: Buffer) => void;

/**
 * A content type parser for Fastify: bodies of at most `limitBytes`, as bytes. It fails with AppError `too-large`, with
 * `invalid-request` when a body comes in absurdly many chunks, and with `client-gone` when it does not come to its end.
 * What no route wants is not read.
 */
export function createBodyReader(limitBytes: number) {
  return (request: FastifyRequest, payload: IncomingMessage, done: Done): void => {
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
    if (request.is404) done(null);
    else if (Number(length) > limitBytes) done(tooLarge(limitBytes));
    else
      read(
        payload,
        { limitBytes, expectedBytes: Number(length ?? 0), isChunked: coding !== undefined },
        done,
      );
  };
}

function read(
  payload: IncomingMessage,
  sizes: { limitBytes: number; expectedBytes: number; isChunked: boolean },
  done: Done,
): void {
  let whole = NOTHING;
  let parts: GrowingBuffer | undefined;
  let chunks = 0;

  payload.on('data', onData).on('end', onEnd).on('error', onError);

  function onData(chunk: Buffer): void {
    // Nearly all come so. It is no part of anything larger: Node makes each chunk as large as it is.
    if (chunk.length === sizes.expectedBytes) {
      whole = chunk;
      return;
    }
    chunks += 1;
    parts ??= createGrowingBuffer(sizes);
    // With its length told, a body comes as the network cuts it.
    const isAbsurd = sizes.isChunked && chunks > FREE_CHUNKS + parts.bytes() / MIN_CHUNK_BYTES;
    if (isAbsurd) stop(new AppError('invalid-request', 'the body comes in too many chunks'));
    else if (!parts.append(chunk)) stop(tooLarge(sizes.limitBytes));
  }

  function onEnd(): void {
    stop(null, parts?.take() ?? whole);
  }

  function onError(cause: Error): void {
    stop(new AppError('client-gone', 'the body did not come to its end', { cause }));
  }

  function stop(error: Error | null, result?: Buffer): void {
    payload.off('data', onData).off('end', onEnd).off('error', onError);
    // A reset may still come, and unheard it would end the process.
    if (error) payload.on('error', () => {});
    done(error, result);
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

type GrowingBuffer = ReturnType<typeof createGrowingBuffer>;

/** A buffer that doubles when it is full. */
function createGrowingBuffer({ expectedBytes, limitBytes }: { expectedBytes: number; limitBytes: number }) {
  let buffer = NOTHING;
  let used = 0;

  function grow(neededBytes: number): void {
    // Not all that is announced at once: a stranger could have it allocated and send nothing.
    const wanted = Math.max(neededBytes, Math.min(2 * neededBytes, expectedBytes || limitBytes));
    const larger = Buffer.allocUnsafe(wanted);
    buffer.copy(larger, 0, 0, used);
    buffer = larger;
  }

  return {
    bytes: () => used,
    /** False when there would be too much. */
    append(chunk: Buffer): boolean {
      const total = used + chunk.length;
      if (total > limitBytes) return false;
      if (total > buffer.length) grow(total);
      chunk.copy(buffer, used);
      used = total;
      return true;
    },
    take: () => buffer.subarray(0, used),
  };
}

function tooLarge(limitBytes: number): AppError {
  return new AppError('too-large', `the body is too large: it may have ${limitBytes} bytes`);
}
