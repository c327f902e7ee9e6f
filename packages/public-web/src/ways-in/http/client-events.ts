/**
 * `GET /clients/{client}/events`: what is in a client's mailbox, and whatever comes into it, as Server-Sent Events (WHATWG HTML,
 * section 9.2), whose ids are tokens. So `Last-Event-ID` goes on behind the last one, and acknowledges all up to it.
 *
 * Nothing else acknowledges: that something was written does not say that it has arrived. So a stream ends after a while, for
 * the client to come back with the token that it has come to, as an `EventSource` does by itself.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { assertClients, type Clients } from '../../clients/clients.ts';
import { toMessage } from '../../clients/entry.ts';
import type { EndReason, Sink } from '../../clients/sessions.ts';

/** Balancers cut off what is silent for a minute, clients behind them even earlier. */
const HEARTBEAT_MS = 15_000;
/** How long a client may take to read what was written. */
const READ_MS = 30_000;
/** A stream ends after so much: less than a session hands over unacknowledged. */
const MAX_ENTRIES = 200;
const MAX_BYTES = 512 * 1024;

/** After how many milliseconds the client is to come back. */
const RETRY_MS: Record<EndReason | 'full', () => number> = {
  full: () => 100,
  lost: () => 1_000,
  // Not all at once.
  stopping: () => Math.ceil(Math.random() * 2_000),
  // Or two that have the same id would take over from each other without end.
  'taken-over': () => 30_000,
};

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // Proxies that know this pass each event on at once.
  'x-accel-buffering': 'no',
};

export type ClientRequest = FastifyRequest & {
  params: { client: string };
  query: { after?: string };
};

/** The handler of `GET /clients/{client}/events`. */
export function createGetClientEvents({ clients }: { clients?: Clients | undefined }) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { params, query, headers, caller } = request as ClientRequest;
    const { sessions } = assertClients(clients);
    // Whoever only looks takes over from nobody.
    if (request.method === 'HEAD') return reply.headers(HEADERS).send();
    const after = headers['last-event-id'] || query.after;
    const { raw } = reply;
    let stream: Sink | undefined;
    const session = await sessions.attach({
      client: params.client,
      apiKeyId: caller.apiKeyId,
      after: after === undefined ? undefined : String(after),
      sink: {
        take: (entry, written) => stream?.take(entry, written),
        end: (reason) => stream?.end(reason),
      },
      isGone: () => raw.destroyed,
    });
    reply.hijack();
    raw.once('close', () => void session.close());
    // It went while it attached: 'close' has been told already, and would not end what begins now.
    if (raw.destroyed) {
      void session.close();
      return reply;
    }
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      ...HEADERS,
    });
    stream = openEventStream(raw);
    return reply;
  };
}

function openEventStream(raw: ServerResponse): Sink {
  let entries = 0;
  let bytes = 0;
  const unreadSinceMs: number[] = [];
  // What is written once the connection has broken, and nobody was told yet, must not end the process.
  raw.on('error', () => {});
  // A comment, for the client to have the head.
  raw.write(':\n\n');
  const timer = setInterval(() => {
    const [oldestMs = Number.POSITIVE_INFINITY] = unreadSinceMs;
    if (performance.now() - oldestMs > READ_MS) raw.destroy();
    else if (unreadSinceMs.length === 0) raw.write(':\n\n');
  }, HEARTBEAT_MS).unref();
  raw.once('close', () => clearInterval(timer));

  function end(reason: EndReason | 'full'): void {
    const event = reason === 'taken-over' ? 'event: waybill.TakenOver\ndata: {}\n' : '';
    raw.end(`retry: ${RETRY_MS[reason]()}\n${event}\n`);
  }

  return {
    take(entry, written) {
      if (raw.writableEnded) return;
      const text = `id: ${entry.token}\ndata: ${JSON.stringify(toMessage(entry))}\n\n`;
      unreadSinceMs.push(performance.now());
      raw.write(text, () => {
        unreadSinceMs.shift();
        written();
      });
      entries += 1;
      bytes += Buffer.byteLength(text);
      if (entries >= MAX_ENTRIES || bytes >= MAX_BYTES) end('full');
    },
    end,
  };
}
