/**
 * A link: one connection to public-web, by whichever transport, for as long as it lasts. What outlives it, requests and the place
 * in the mailbox, is not its concern.
 */
import { isProblem, parse, toMs } from './attempt.ts';
import type { RequestEvent } from './request.ts';
import { type Problem, problemOf } from './request-failed.ts';

/** What comes from public-web: an entry of the mailbox if it has a `token`, else a problem of something that was sent. */
export type Message = {
  id: string;
  type: string;
  data: unknown;
  /** The id of the event that it answers. */
  requestid?: string;
  /** `<epoch>.<offset>` */
  token?: string;
  [attribute: string]: unknown;
};

/** An event that is to be sent, as long as somebody waits for its answer. */
export type Outgoing = {
  event: RequestEvent;
  /** It, as JSON. */
  text: string;
  /** Its `Idempotency-Key`, where it is sent by a request of its own. */
  key: string;
  isWanted(): boolean;
  /** Told that public-web has it: its answer will be in the mailbox. */
  onTaken(): void;
};

/**
 * Why a link is no more.
 * - `lost`: it may be opened again, in `retryAfterMs` if that was said.
 * - `unopened`: nobody knows why, as browsers do not say why a WebSocket cannot be opened.
 * - `too-large`: lost, because of something that was sent over it.
 * - `taken-over`: the client has connected once more, elsewhere.
 * - `refused`: it makes no sense to try again.
 */
export type End =
  | { kind: 'lost'; retryAfterMs?: number | undefined }
  | { kind: 'unopened' | 'too-large' | 'taken-over' }
  | { kind: 'refused'; problem: Problem };

export type Link = {
  via: 'websocket' | 'event-stream';
  /** In the order of the calls. Called after `onOpen` only. */
  send(outgoing: Outgoing): void;
  /** The client has all up to this token. */
  acknowledge(token: string): void;
  /** Resolves once, with its end; nothing comes after that. */
  ended: Promise<End>;
  /** Ends it. */
  close(): Promise<void>;
};

export type LinkOptions = {
  origin: string;
  client: string;
  /** Of every request. */
  headers: Record<string, string>;
  /** The last token that the client is done with, to go on behind it: what has come since and waits is dropped. */
  after(): string | undefined;
  /** Resolves when the client is done with all that has come. */
  settled(): Promise<void>;
  onOpen(): void;
  onMessage(message: Message): void;
};

/** Statuses below 500 that say nothing of the next time. */
const AGAIN = [408, 429];

/** What it means for a link that it was answered by this. */
export async function toEnd(response: Response): Promise<End> {
  if (isFinal(response)) return { kind: 'refused', problem: await problemIn(response) };
  await response.body?.cancel();
  return { kind: 'lost', retryAfterMs: retryAfterOf(response) };
}

/** Whether a refusal says that it makes no sense to try again. */
export function isFinal({ status }: Response): boolean {
  return (status < 500 && !AGAIN.includes(status)) || status === 501;
}

/** When to try again, if that was said. */
export function retryAfterOf({ headers }: Response): number | undefined {
  return toMs(headers.get('retry-after'));
}

/** The problem by which a call was answered. */
export async function problemIn(response: Response): Promise<Problem> {
  const answer = parse(await response.text());
  return isProblem(answer) ? answer : problemOf('unexpected', response.status, `HTTP ${response.status}`);
}

/** A URL below `origin`, also where that is the page's own. */
export function urlOf(origin: string, path: string, query: Record<string, string | undefined> = {}): URL {
  const url = new URL(`${origin}${path}`, (Reflect.get(globalThis, 'location') as URL | undefined)?.href);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return url;
}
