import type { Problem } from './request-failed.ts';

export type { Problem };

export type RequestOptions = {
  /** How long to wait for the reply, in all, in milliseconds (default 30,000, at most 2,000,000,000). */
  timeoutMs?: number;
  /** Names the event; default: a random one. */
  id?: string;
  /**
   * Names what the event belongs to, such as an account, in up to 2,048 characters: handlers that are `ordered` take the events of one
   * key one after the other. Default: none.
   */
  partitionkey?: string;
  /** Gives up. The event may run all the same. */
  signal?: AbortSignal;
};

/** A reply, as a CloudEvent; `data` is undefined where the handler has nothing to say. */
export type Reply<Data = unknown> = { id: string; type: string; data: Data; [attribute: string]: unknown };

/** What is sent. */
export type RequestEvent = { id: string; [attribute: string]: unknown };

export const DEFAULT_TIMEOUT_MS = 30_000;
/** Timers that are to wait longer than 2^31 ms fire at once; the server is given some time more. */
const MAX_TIMEOUT_MS = 2_000_000_000;

/** @throws RangeError when timers cannot wait so long */
export function checkTimeout(timeoutMs: number): void {
  if (timeoutMs <= MAX_TIMEOUT_MS) return;
  throw new RangeError(`timeoutMs is ${timeoutMs}, and at most ${MAX_TIMEOUT_MS}`);
}

/** The event of a request. */
export function toEvent(
  source: string,
  type: string,
  data: unknown,
  { id, partitionkey }: { id: string; partitionkey?: string | undefined },
): RequestEvent {
  const key = partitionkey !== undefined && { partitionkey };
  return { specversion: '1.0', id, source, type, ...key, datacontenttype: 'application/json', data };
}
