/** The way to a tier's internal port, call by call: each is kept, and treated as a test wants. */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { OnBatch } from '@waybill/test-harness/stand-in.ts';

/** One call, as it came. */
export type Call = {
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  events: CloudEvent[];
  /** When it came, by `performance.now()`. */
  atMs: number;
};

export type CallRelay = {
  /** What to give the calling tier, or public-web as its `INTERNAL_URL`. */
  url: string;
  /** Every call so far; grows. */
  calls: Call[];
  /** Resolves with the first call, past ones included, that `accepts` does. */
  call(accepts: (call: Call) => boolean): Promise<Call>;
  /** Where calls go from now on. */
  forwardTo(url: string): void;
  /** Calls are treated so from now on, and not forwarded. */
  treat(onBatch: OnBatch): void;
  /** Holds calls from now on; what it returns forwards them, and those that come later. */
  hold(): () => void;
  /** Sends a call once more, byte by byte as it came. */
  replay(call: Call): Promise<Response>;
  close(): Promise<void>;
};

/** Starts a relay; until {@link CallRelay.forwardTo} it refuses all with 503. */
export async function startCallRelay(): Promise<CallRelay> {
  const arrivals = new EventEmitter().setMaxListeners(0);
  const calls: Call[] = [];
  let target = '';
  let gate: Promise<void> | undefined;
  let treatment: OnBatch | undefined = (_events, response) => response.writeHead(503).end('{}');

  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const { url: path = '', headers } = request;
    const call = { path, headers: endToEnd(headers), body, events: parse(body), atMs: performance.now() };
    calls.push(call);
    arrivals.emit('call');
    await gate;
    if (treatment) treatment(call.events, response);
    else await pass(await replay(call), response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');

  function replay({ path, headers, body }: Call): Promise<Response> {
    return fetch(`${target}${path}`, { method: 'POST', headers, body: new Uint8Array(body) });
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async call(accepts) {
      const signal = AbortSignal.timeout(20_000);
      for (;;) {
        const found = calls.find(accepts);
        if (found) return found;
        await once(arrivals, 'call', { signal });
      }
    },
    forwardTo(url) {
      target = url;
      treatment = undefined;
    },
    treat(onBatch) {
      treatment = onBatch;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    replay,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Begins an answer and resets the connection. */
export const resetMidBody: OnBatch = (_events, response) => {
  response.writeHead(200, { 'content-length': 100 });
  response.write('{"unknown":', () => response.socket?.resetAndDestroy());
};

/** Without those that are about one connection. */
function endToEnd({ host, connection, 'content-length': length, ...headers }: IncomingHttpHeaders) {
  return headers as Record<string, string>;
}

/** A batch, or an event alone. */
function parse(body: Buffer): CloudEvent[] {
  return [JSON.parse(body.toString()) as CloudEvent | CloudEvent[]].flat();
}

async function pass(answer: Response, response: ServerResponse): Promise<void> {
  const type = answer.headers.get('content-type') ?? '';
  response.writeHead(answer.status, { 'content-type': type }).end(await answer.text());
}
