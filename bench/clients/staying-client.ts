/**
 * A client that stays, as measurements have thousands of: it holds a WebSocket, comes back by itself when that ends, and looks at
 * all that it is told.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { backOffMs } from '../../packages/client/src/pause.ts';
import { inParallel } from '../in-parallel.ts';
import { type AnswerCheck, createAnswerCheck } from './answer-check.ts';

/** As `packages/client` has both. */
const AGAIN = { baseMs: 500, capMs: 5_000 };
const OPEN_MS = 10_000;
/** Clients that connect at once when nothing is measured of it. */
const AT_ONCE = 50;

export type StayingClientOptions = {
  /** Its client id, under which it has a mailbox. Without one what comes while it is away is lost. */
  client?: string;
  /** Where to try; `tries` grows with each connection that was lost or refused. */
  urlOf(tries: number): string;
};

export type StayingClient = {
  readonly answers: AnswerCheck;
  /** By number, the connection that each of its events went by, the first one being 0. */
  readonly sent: readonly number[];
  /** How long it was away, each time. */
  readonly awayMs: readonly number[];
  /** Why it could not connect, each time. */
  readonly failures: readonly string[];
  /** Resolves when it is connected; from then on it comes back by itself. */
  connect(): Promise<void>;
  /** Where it is connected; undefined while it is not. */
  connectedTo(): string | undefined;
  /** Sends its next event, a ping. */
  send(): void;
  /** Resolves when it is told something. */
  toldNext(): Promise<void>;
  /** Resets its connection. */
  cut(): void;
  /** Ends it for good. */
  close(): void;
};

/** Creates one, which is not connected yet. */
export function createStayingClient({ client, urlOf }: StayingClientOptions): StayingClient {
  const answers = createAnswerCheck(client ?? 'a client');
  const sent: number[] = [];
  const awayMs: number[] = [];
  const failures: string[] = [];
  let socket: WebSocket | undefined;
  let tcp: Socket | undefined;
  let url: string | undefined;
  let tries = 0;
  let lostMs: number | undefined;
  let isOver = false;
  let onTold = () => {};

  async function connect(): Promise<void> {
    for (let failed = 0; !isOver; ) {
      const origin = urlOf(tries);
      const opened = await open(origin);
      if (opened) return stay(opened, origin);
      tries += 1;
      failed += 1;
      await pause(failed);
    }
  }

  /** Undefined when it could not be opened. */
  function open(origin: string): Promise<WebSocket | undefined> {
    const query = new URLSearchParams({
      ...(client && { client }),
      ...(answers.token() && { after: answers.token() }),
    });
    const opening = new WebSocket(`${origin.replace('http', 'ws')}/ws?${query}`, 'cloudevents.json', {
      handshakeTimeout: OPEN_MS,
      perMessageDeflate: false,
    });
    opening.on('message', (data) => {
      answers.take(JSON.parse(String(data)));
      onTold();
    });
    opening.on('upgrade', (response) => {
      tcp = response.socket;
    });
    let reason = 'closed';
    opening.on('error', (error: Error & { code?: string }) => {
      reason = error.code ?? error.message;
    });
    return new Promise((resolve) => {
      opening
        .once('open', () => resolve(opening))
        .once('close', () => {
          if (socket !== opening) failures.push(reason);
          resolve(undefined);
        });
    });
  }

  function stay(opened: WebSocket, origin: string): void {
    // Closed for good meanwhile.
    if (isOver) {
      opened.terminate();
      return;
    }
    if (lostMs !== undefined) awayMs.push(performance.now() - lostMs);
    socket = opened;
    url = origin;
    socket.once('close', async () => {
      lostMs = performance.now();
      url = undefined;
      tries += 1;
      await pause(1);
      await connect();
    });
  }

  async function pause(failed: number): Promise<void> {
    if (!isOver) await delay(backOffMs(failed, AGAIN));
  }

  return {
    answers,
    sent,
    awayMs,
    failures,
    connect,
    connectedTo: () => url,
    send() {
      const id = String(sent.length);
      sent.push(awayMs.length);
      const event = { specversion: '1.0', id, source: '/bench', type: 'PingRequest', data: { sentAt: 1 } };
      socket?.send(JSON.stringify(event));
    },
    toldNext: () =>
      new Promise((resolve) => {
        onTold = resolve;
      }),
    cut: () => tcp?.resetAndDestroy(),
    close() {
      isOver = true;
      socket?.terminate();
    },
  };
}

/** Connects all of them, some at once. */
export function connectAll(clients: readonly StayingClient[]): Promise<void> {
  return inParallel(clients.length, AT_ONCE, async (index) => clients[index]?.connect());
}
