/**
 * The ways in of clients that stay. Each takes a client to a public-web with the token that it has; what comes is an
 * {@link Told}, and what it sends is the event `nimbus.sq` of a number, by whichever way.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { credentials, Metadata } from '@grpc/grpc-js';
import type { EventResponse__Output as EventResponse } from '@waybill/common/grpc/generated/nimbus/EventResponse.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { WebSocket } from 'ws';
import type { Edge } from './faulty-system.ts';
import { fromError, type Operation, outcomeOf } from './operation.ts';

/** What a client was told: the result of a number, or the problem with it. */
export type Told = {
  /** Undefined in a problem that is not in the mailbox. */
  token: string | undefined;
  /** Undefined where the instance that took the event died with its id. */
  number: number | undefined;
  result: number | undefined;
  /** Of a problem; `waybill.Gap` of a gap. */
  code: string;
};

/** `sent`: over a connection, so that nobody knows yet. `accepted`: 202. */
export type Sent = Pick<Operation, 'status' | 'code' | 'detail'> & {
  outcome: 'sent' | 'accepted' | Exclude<Operation['outcome'], 'answered'>;
};

export type Connection = {
  send(number: number): Promise<Sent>;
  /** Resolves when it has ended, with why if that is said. */
  closed: Promise<string>;
  /** Ends it: in order, or by leaving. */
  leave(isAbrupt: boolean): void;
};

export type Way = (options: {
  edge: Edge;
  client: string;
  /** The last that it has; '' at first. */
  token: string;
  take(told: Told): void;
}) => Promise<Connection>;

const CONNECT_MS = 5_000;
/** Longer than an event that is posted may wait for a dispatcher: until its deadline. */
const POST_MS = 15_000;
const WAIT_S = 2;
/** A client acknowledges each 20th entry where it does by itself. */
const ACKNOWLEDGE_EVERY = 20;
/** How long a connection that is ended in order may take. */
const LEAVE_MS = 1_000;

/** By name. */
export const WAYS: Readonly<Record<string, Way>> = {
  websocket: (options) => openWebSocket(options, true),
  'websocket-receipt': (options) => openWebSocket(options, false),
  sse: openEvents,
  mailbox: readMailbox,
  grpc: openStream,
};

async function openWebSocket(
  { edge, client, token, take }: Parameters<Way>[0],
  isAcknowledging: boolean,
): Promise<Connection> {
  const query = new URLSearchParams({
    client,
    ...(token && { after: token }),
    ...(isAcknowledging && { acks: 'client' }),
  });
  const url = `${edge.url.replace('http', 'ws')}/ws?${query}`;
  const socket = new WebSocket(url, 'cloudevents.json', { handshakeTimeout: CONNECT_MS });
  const closed = new Promise<string>((resolve) => socket.once('close', (code) => resolve(String(code))));
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const told = toTold(JSON.parse(String(data)));
    take(told);
    if (isAcknowledging && isToAcknowledge(told))
      socket.send(JSON.stringify({ type: 'waybill.Ack', token: told.token }));
  });
  await once(socket, 'open');
  return {
    async send(number) {
      socket.send(JSON.stringify({ ...toEvent(number), specversion: '1.0', source: '/me' }));
      return SENT;
    },
    closed,
    leave(isAbrupt) {
      if (isAbrupt) return socket.terminate();
      socket.close(1000);
      void delay(LEAVE_MS).then(() => socket.terminate());
    },
  };
}

async function openEvents({ edge, client, token, take }: Parameters<Way>[0]): Promise<Connection> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), CONNECT_MS);
  const headers: Record<string, string> = token ? { 'last-event-id': token } : {};
  const response = await fetch(`${edge.url}/clients/${client}/events`, { headers, signal: over.signal });
  clearTimeout(timer);
  if (response.status !== 200 || !response.body) throw new Error(await response.text());
  const body = response.body.pipeThrough(new TextDecoderStream());

  async function read(): Promise<string> {
    let text = '';
    for await (const chunk of body) {
      const blocks = (text + chunk).split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        if (block.includes('event: waybill.TakenOver')) return 'taken over';
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data !== undefined && !over.signal.aborted) take(toTold(JSON.parse(data)));
      }
    }
    return 'ended';
  }

  const closed = read().catch((error) => String(error.message));
  return { send: post(edge, client), closed, leave: () => over.abort() };
}

async function readMailbox({ edge, client, token, take }: Parameters<Way>[0]): Promise<Connection> {
  const over = new AbortController();

  async function read(): Promise<string> {
    let after = token;
    while (!over.signal.aborted) {
      const response = await fetch(`${edge.url}/clients/${client}/mailbox${after && `?after=${after}`}`, {
        headers: { prefer: `wait=${WAIT_S}` },
        signal: AbortSignal.any([over.signal, AbortSignal.timeout(POST_MS)]),
      });
      const entries = await response.json();
      if (over.signal.aborted) break;
      // Until its first event it has none.
      if (response.status === 404) await delay(WAIT_S * 100);
      else if (response.status !== 200) return String(response.status);
      else
        for (const entry of entries as Message[]) {
          take(toTold(entry));
          after = String(entry.token);
        }
    }
    return 'left';
  }

  const closed = read().catch((error) => String(error.message));
  return { send: post(edge, client), closed, leave: () => over.abort() };
}

async function openStream({ edge, client, token, take }: Parameters<Way>[0]): Promise<Connection> {
  const { NimbusService } = loadPackage('nimbus.proto').nimbus;
  const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_http_proxy': 0 };
  const stub = new NimbusService(edge.grpcAddress, credentials.createInsecure(), options);
  const metadata = new Metadata();
  metadata.set('client_id', client);
  metadata.set('token', token);
  const stream = stub.ProcessEvent(metadata);
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  stream.on('error', ({ details }) => resolve(String(details)));
  stream.on('end', () => resolve('OK'));
  void closed.then(() => stub.close());
  stream.on('data', ({ event_name, number, result, problem, ...response }: EventResponse) => {
    const told: Told = {
      token: response.token,
      number: event_name === 'sq' ? number : undefined,
      result: problem ? undefined : result,
      code: event_name === 'waybill.Gap' ? event_name : (problem?.code ?? ''),
    };
    take(told);
    if (isToAcknowledge(told)) stream.write({ token: told.token });
  });
  const opened = once(stream, 'metadata', { signal: AbortSignal.timeout(CONNECT_MS) });
  await Promise.race([opened, closed.then((why) => Promise.reject(new Error(why)))]).catch((error) => {
    stream.cancel();
    throw error;
  });
  return {
    async send(number) {
      stream.write({ event_name: 'sq', number });
      return SENT;
    },
    closed,
    leave(isAbrupt) {
      if (isAbrupt) return stream.cancel();
      stream.end();
      void delay(LEAVE_MS).then(() => stream.cancel());
    },
  };
}

const SENT: Sent = { outcome: 'sent', status: 0, code: '', detail: '' };

/** Sends events beside a connection that only reads. */
function post({ url }: Edge, client: string): Connection['send'] {
  return async (number) => {
    try {
      const response = await fetch(`${url}/clients/${client}/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(toEvent(number)),
        signal: AbortSignal.timeout(POST_MS),
      });
      const { code = '', detail = '' } = (await response.json()) as { code?: string; detail?: string };
      const { status } = response;
      // A network that drops it has public-web wait in vain for its body.
      const isUnread = status === 408;
      const other = isUnread ? 'refused' : outcomeOf(status, code);
      return { outcome: status === 202 ? 'accepted' : other, status, code, detail };
    } catch (error) {
      return fromError((error as Error).cause ?? error) as Sent;
    }
  };
}

/** With an id as public-web gives one to what comes by gRPC, so that each way shows the number. */
function toEvent(number: number) {
  const id = `sq/${number}/0123456789abcdef`;
  return { id, type: 'nimbus.sq', data: { event_name: 'sq', number } };
}

type Message = {
  type: string;
  token?: string;
  requestid?: string;
  data?: { result?: number; code?: string; event_id?: string };
};

function toTold({ type, token, requestid = '', data = {} }: Message): Told {
  const number = numberOf(requestid);
  return { token, number, result: data.result, code: type === 'waybill.Gap' ? type : (data.code ?? '') };
}

/** The number in the id of an event; undefined where there is none. */
export function numberOf(eventId: string): number | undefined {
  const [, digits] = /^sq\/(\d+)\//.exec(eventId) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function isToAcknowledge({ token = '' }: Told): boolean {
  return Number(token.split('.')[1]) % ACKNOWLEDGE_EVERY === 0;
}
