/** A tier played by the test: an HTTP server that takes signed batches of events, as dispatcher and public-web do. */
import { EventEmitter, once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { ErrorCode } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { verifyRequest } from '@waybill/common/internal-call/http-signature.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import { TROUBLES_PATH } from '@waybill/common/internal-call/troubles.ts';
import { problemFor } from '@waybill/common/problem.ts';
import type { KeyPair } from './certificates.ts';

/** What a stand-in does with a batch; a probe is an empty one. It answers `response`, or does not. */
export type OnBatch = (events: CloudEvent[], response: ServerResponse) => unknown;

/** A running stand-in. It answers what is not signed 401, and leaves the rest to `onBatch`. */
export type StandIn = {
  url: string;
  port: number;
  /** May be replaced at any time. */
  onBatch: OnBatch;
  /** The batches that came in, probes left out; grows. */
  batches: CloudEvent[][];
  /** Resolves with batch number `index`, once it has come in. */
  batch(index: number): Promise<CloudEvent[]>;
  /** Resolves when the next probe comes in. */
  probe(): Promise<unknown>;
  /** Resets what is open and refuses connections from now on. */
  close(): Promise<void>;
};

/** Starts a stand-in that checks signatures with `keys`; with `tls` its URL is of `localhost`. */
export async function startStandIn({
  keys,
  onBatch,
  host = '127.0.0.1',
  port = 0,
  tls,
}: {
  keys: Key[];
  onBatch: OnBatch;
  host?: string;
  port?: number;
  tls?: KeyPair;
}): Promise<StandIn> {
  const arrivals = new EventEmitter().setMaxListeners(0);
  const listener: RequestListener = async (request, response) => {
    const body = await buffer(request);
    const { method = '', url: path = '', headers } = request;
    try {
      verifyRequest({ method, path, headers, body, keys });
    } catch {
      return response.writeHead(401).end();
    }
    // As a tier that does not know of it.
    if (path === TROUBLES_PATH) return response.writeHead(404).end('{}');
    const events = JSON.parse(body.toString()) as CloudEvent[];
    if (events.length > 0) standIn.batches.push(events);
    arrivals.emit(events.length > 0 ? 'batch' : 'probe');
    return standIn.onBatch(events, response);
  };
  const server = tls ? createHttpsServer(tls, listener) : createHttpServer(listener);
  await once(server.listen(port, host), 'listening');
  const { port: boundPort } = server.address() as AddressInfo;
  const standIn: StandIn = {
    url: tls ? `https://localhost:${boundPort}` : `http://${host}:${boundPort}`,
    port: boundPort,
    onBatch,
    batches: [],
    async batch(index) {
      for (;;) {
        const found = standIn.batches[index];
        if (found) return found;
        await once(arrivals, 'batch');
      }
    },
    probe: () => once(arrivals, 'probe'),
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return standIn;
}

/** Never answers. */
export const hang: OnBatch = () => {};

/** Answers every batch with `status` and an empty object. */
export function respond(status: number): OnBatch {
  return (_events, response) => response.writeHead(status).end('{}');
}

/** Answers every batch with the problem of `code`, as a tier does. */
export function refuse(code: ErrorCode): OnBatch {
  const problem = problemFor(code);
  return (_events, response) => response.writeHead(problem.status).end(JSON.stringify(problem));
}

/** Resets the connection. */
export const reset: OnBatch = (_events, response) => response.socket?.resetAndDestroy();
