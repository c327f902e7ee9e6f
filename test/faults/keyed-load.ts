/**
 * Clients that send requests with an `Idempotency-Key`, one after the other, and send each again, to any public-web, until they
 * know what became of it. Some send it to two at once. Their events have no id of their own: each that a public-web takes gets another one,
 * so that two effects of one key can be told from one event that ran again.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { fromError, type Operation, outcomeOf } from './operation.ts';
import { createRandom, type Random } from './random.ts';

const CLIENTS = 4;
/** Numbers of these requests, which tell them from pings without a key. */
export const KEYED_FROM = 1_000_000_000;
const NUMBERS = 1_000_000;
/** Between two tries, and between two requests. */
const PAUSE_MS = { min: 20, max: 300 };
/** A key that leads to 504 may do so for the window. */
const MAX_UNKNOWN = 3;
/** Of one that is refused, or whose connection breaks. */
const MAX_TRIES = 40;
/** Beyond the deadline an answer is none: its way is cut. */
const GIVE_UP_AFTER_MS = 10_000;

/** One try of a request with a key. */
export type KeyedTry = Pick<Operation, 'publicWeb' | 'startMs' | 'waitMs' | 'outcome' | 'status' | 'code'> & {
  detail: string;
  /** The id of the event, where there is an answer to it. */
  eventId: string | undefined;
};

/** A request with a key, in all its tries; `number` is in its data. */
export type KeyedRequest = { key: string; number: number; tries: KeyedTry[] };

export type KeyedLoad = {
  /** Begins no request any more; resolves with all when the last is done. */
  stop(): Promise<KeyedRequest[]>;
};

/** Starts the clients; each decides by `seed` where it sends its next try. */
export function startKeyedLoad({
  urls,
  seed,
  deadlineMs,
}: {
  urls: readonly string[];
  seed: number;
  deadlineMs: number;
}): KeyedLoad {
  const giveUpMs = deadlineMs + GIVE_UP_AFTER_MS;
  const agent = new Agent({ headersTimeout: giveUpMs, bodyTimeout: giveUpMs, connect: { timeout: 5_000 } });
  const requests: KeyedRequest[] = [];
  let isOver = false;

  async function send({ key, number, tries }: KeyedRequest, publicWeb: number): Promise<KeyedTry> {
    const startMs = Date.now();
    const started = performance.now();
    const answer = await post(urls[publicWeb] as string, key, number).catch((error) => ({
      ...fromError(error),
      eventId: undefined,
    }));
    const made = { publicWeb, startMs, waitMs: performance.now() - started, ...answer };
    tries.push(made);
    return made;
  }

  async function post(origin: string, key: string, number: number) {
    const { statusCode: status, body } = await agent.request({
      origin,
      path: '/',
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ type: 'PingRequest', data: { sentAt: number } }),
    });
    const { id, type, data, code = '', detail = '' } = (await body.json()) as Answer;
    const isOurs = type === 'PingResponse' && data?.sentAt === number;
    if (status !== 200) return { outcome: outcomeOf(status, code), status, code, detail, eventId: undefined };
    const outcome: 'answered' | 'wrong' = isOurs ? 'answered' : 'wrong';
    return { outcome, status, code, detail, eventId: id };
  }

  async function ask(request: KeyedRequest, random: Random): Promise<void> {
    for (let unknown = 0; unknown < MAX_UNKNOWN && request.tries.length < MAX_TRIES; ) {
      const first = random.between(0, urls.length - 1);
      const isTwice = random.between(1, 4) === 1;
      const sentTo = isTwice ? [first, (first + 1) % urls.length] : [first];
      const made = await Promise.all(sentTo.map((publicWeb) => send(request, publicWeb)));
      if (made.some(({ outcome }) => outcome === 'answered' || outcome === 'wrong')) return;
      if (made.some(({ status }) => status === 502 || status === 504)) unknown += 1;
      await pause(random);
    }
  }

  async function keepAsking(index: number): Promise<void> {
    const random = createRandom(seed + KEYED_FROM + index);
    for (let sent = 0; !isOver; sent += 1) {
      const request = { key: randomUUID(), number: KEYED_FROM + index * NUMBERS + sent, tries: [] };
      requests.push(request);
      await ask(request, random);
      await pause(random);
    }
  }

  const asking = Array.from({ length: CLIENTS }, (_, index) => keepAsking(index));
  return {
    async stop() {
      isOver = true;
      await Promise.all(asking);
      await agent.destroy();
      return requests;
    },
  };
}

function pause(random: Random): Promise<void> {
  return delay(random.between(PAUSE_MS.min, PAUSE_MS.max));
}

type Answer = { id?: string; type?: string; data?: { sentAt?: number }; code?: string; detail?: string };
