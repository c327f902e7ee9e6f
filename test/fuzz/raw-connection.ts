import { connect } from 'node:net';

/** What a stranger writes to a port, and how it ends: it waits for an answer, says it is done, or is gone. */
export type RawInput = { bytes: Buffer; ending: 'wait' | 'end' | 'reset' };

/** One that waits says it is done once nothing has come for this long, so that what is incomplete ends too. */
const QUIET_MS = 150;
/** Far beyond what a server may take for a request, 10 s: then it hangs. */
const HANG_MS = 20_000;

/**
 * Writes `bytes` to a port of this machine and resolves with all that was answered, once the connection is closed.
 *
 * @param isPatient one that waits does so until the other side closes; else for 150 ms without a byte.
 * @param enoughBytes it is gone when so many have come.
 * @throws when the other side has neither answered nor closed 20 s later.
 */
export async function exchange(
  port: number,
  { bytes, ending }: RawInput,
  { isPatient = false, enoughBytes = Number.POSITIVE_INFINITY } = {},
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const hang = setTimeout(() => reject(new Error(`port ${port} neither answers nor closes`)), HANG_MS);
  let receivedBytes = 0;
  // The other side may close, or reset, at any byte.
  socket.on('error', () => {});
  socket.on('close', () => resolve());
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    receivedBytes += chunk.length;
    if (receivedBytes >= enoughBytes) socket.destroy();
  });
  if (!isPatient) socket.setTimeout(QUIET_MS, () => socket.end());
  if (ending === 'end') socket.end(bytes);
  else socket.write(bytes, () => ending === 'reset' && socket.resetAndDestroy());
  try {
    await promise;
  } finally {
    clearTimeout(hang);
    socket.destroy();
  }
  return Buffer.concat(chunks);
}
