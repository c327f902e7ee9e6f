import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below the range systems give to outgoing connections and to port 0 (32768 and up on Linux). */
const RANGE = { from: 15_000, to: 32_000 };
/** Each process looks in a part of its own, so that test files that run at once never meet. */
const PART = 500;
const PARTS = (RANGE.to - RANGE.from) / PART;
/** The first port of this process's part. That it listens there is what makes the part its own, until it ends. */
let first: Promise<number> | undefined;

/** Given, and perhaps not listened on yet. */
const given = new Set<number>();

/**
 * A TCP port on loopback that nobody listens on, each time another one. It is still free a moment, or a broker restart,
 * later: the system gives it to nobody.
 */
export async function freePort(): Promise<number> {
  first ??= claimPart();
  const from = (await first) + 1;
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(from, from + PART - 1);
    if (given.has(port)) continue;
    given.add(port);
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port found on loopback between ${from} and ${from + PART - 1}`);
}

async function claimPart(): Promise<number> {
  for (let offset = 0; offset < PARTS; offset++) {
    const port = RANGE.from + ((process.pid + offset) % PARTS) * PART;
    const server = await listen(port);
    if (!server) continue;
    server.unref();
    return port;
  }
  throw new Error(`all ${PARTS} parts of the ports from ${RANGE.from} to ${RANGE.to} are taken`);
}

async function canListen(port: number): Promise<boolean> {
  const server = await listen(port);
  if (!server) return false;
  server.close();
  await once(server, 'close');
  return true;
}

/** Undefined if somebody else listens there. */
async function listen(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
