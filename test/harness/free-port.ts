import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the range systems give to outgoing connections and to port 0 (32768 and up on Linux). */
const RANGE = { from: 15_000, to: 32_000 };
/** Each process looks in a part of its own, so that test files that run at once seldom meet. */
const PART = 500;
const first = RANGE.from + (process.pid % ((RANGE.to - RANGE.from) / PART)) * PART;

/** Given, and perhaps not listened on yet. */
const given = new Set<number>();

/**
 * A TCP port on loopback that nobody listens on, each time another one. It is still free a moment, or a broker restart,
 * later: the system gives it to nobody.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(first, first + PART);
    if (given.has(port)) continue;
    given.add(port);
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port found on loopback between ${first} and ${first + PART}`);
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
