/**
 * Clients that stay: each has a mailbox, sends events at an even pace, and leaves and comes back, by any way in and to any
 * public-web, with the token of the last entry that it has.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, type Sent, type Told, WAYS } from './client-ways.ts';
import type { Edge } from './faulty-system.ts';
import { createRandom, type Random } from './random.ts';

const CLIENTS = 10;
/** Events of each. */
const PER_S = 5;
/** How long a client stays, and stays away. */
const STAY_MS = { min: 500, max: 6_000 };
const AWAY_MS = { min: 0, max: 1_000 };
const CONNECT_AGAIN_MS = 200;
/** In the end all is answered within so long. */
const ANSWERED_MS = 60_000;
/** And what is sent over a connection then, within so long, or the client connects once more. */
const ANSWER_MS = 5_000;
/** Numbers of one client; each is in all of the run the number of one event. */
const NUMBERS = 100_000;

/** One event that a client has sent. */
export type Sending = Sent & {
  number: number;
  /** Of which connection of the client, from 0; and by which way in. */
  connection: number;
  way: string;
  publicWeb: number;
  startMs: number;
  endMs: number;
  /** How long it waits for its reply. */
  deadlineMs: number;
};

/** What a client has sent and was told, in order. */
export type StayingClient = {
  name: string;
  sendings: Sending[];
  told: (Told & { way: string; publicWeb: number; atMs: number })[];
  /** Why its connections ended, one after the other. */
  ends: string[];
  /** Whether its last event was answered, and what was accepted before. */
  isAnswered: boolean;
};

export type ClientLoad = {
  /** Has each client send a last event, and resolves when all is answered, or after a minute. */
  stop(): Promise<StayingClient[]>;
};

/** Starts them; each decides by `seed` where it goes next. */
export function startClientLoad({
  seed,
  ...options
}: {
  edges: readonly Edge[];
  seed: number;
  deadlineMs: number;
}): ClientLoad {
  const over = new AbortController();
  const clients = Array.from({ length: CLIENTS }, (_, index) =>
    createClient({ ...options, name: `client-${seed}-${index}`, index, random: createRandom(seed + index) }),
  );
  const staying = clients.map(({ stay }) => stay(over.signal));
  return {
    async stop() {
      over.abort();
      await Promise.all(staying);
      return Promise.all(clients.map(({ conclude }) => conclude()));
    },
  };
}

function createClient({
  name,
  index,
  edges,
  deadlineMs,
  random,
}: {
  name: string;
  index: number;
  edges: readonly Edge[];
  deadlineMs: number;
  random: Random;
}) {
  const client: StayingClient = { name, sendings: [], told: [], ends: [], isAnswered: false };
  let token = '';
  let connections = 0;

  /** Connects, and has `use` the connection; false when there is none. */
  async function connected(way: string, use: (at: Opened) => Promise<void>): Promise<boolean> {
    const publicWeb = random.between(0, edges.length - 1);
    const connection = connections++;
    const take = (told: Told) => {
      if (connection !== connections - 1) return;
      token = told.token ?? token;
      client.told.push({ ...told, way, publicWeb, atMs: Date.now() });
    };
    try {
      const edge = edges[publicWeb] as Edge;
      const opened = await (WAYS[way] as (typeof WAYS)[string])({ edge, client: name, token, take });
      await use({ ...opened, way, publicWeb, connection });
      opened.leave(random.between(0, 1) === 1);
      client.ends.push(await opened.closed);
      return true;
    } catch (error) {
      client.ends.push(`not connected: ${(error as Error).message}`);
      return false;
    }
  }

  async function send({ send, way, publicWeb, connection }: Opened): Promise<Sending> {
    const number = index * NUMBERS + client.sendings.length;
    const startMs = Date.now();
    const sending = { number, connection, way, publicWeb, startMs, endMs: startMs, deadlineMs };
    const noted: Sending = { ...sending, outcome: 'unknown', status: 0, code: '', detail: '' };
    client.sendings.push(noted);
    return Object.assign(noted, await send(number), { endMs: Date.now() });
  }

  const isTold = ({ number }: Sending) => client.told.some((told) => told.number === number);

  return {
    async stay(over: AbortSignal): Promise<void> {
      while (!over.aborted) {
        const untilMs = Date.now() + random.between(STAY_MS.min, STAY_MS.max);
        const isConnected = await connected(random.pick(Object.keys(WAYS)), async (opened) => {
          let isClosed = false;
          void opened.closed.then(() => {
            isClosed = true;
          });
          while (!isClosed && !over.aborted && Date.now() < untilMs) {
            await send(opened);
            await delay(1_000 / PER_S);
          }
        });
        await delay(isConnected ? random.between(AWAY_MS.min, AWAY_MS.max) : CONNECT_AGAIN_MS);
      }
    },
    async conclude(): Promise<StayingClient> {
      const untilMs = Date.now() + ANSWERED_MS;
      const owed = client.sendings.filter(({ outcome }) => outcome === 'accepted');
      while (!client.isAnswered && Date.now() < untilMs) {
        await connected('websocket', async (opened) => {
          const last = await send(opened);
          const giveUpMs = Date.now() + ANSWER_MS;
          const isAll = () => isTold(last) && owed.every(isTold);
          while (!isAll() && Date.now() < giveUpMs) await delay(50);
          client.isAnswered = isAll();
        });
      }
      return client;
    },
  };
}

type Opened = Connection & { way: string; publicWeb: number; connection: number };
