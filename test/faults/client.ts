/** A client of public-web that sends one event and is told one answer. */
import { randomUUID } from 'node:crypto';
import type { Service } from '@waybill/test-harness/service.ts';
import { Agent } from 'undici';

/** Each request has a connection of its own if it needs one; all are closed with the test's process. */
const agent = new Agent({ headersTimeout: 120_000, bodyTimeout: 120_000 });

export type Answer = {
  status: number;
  /** The reply, or the problem. */
  body: { id?: string; type?: string; data?: unknown; code?: string; detail?: string };
  /** From sending to having read the answer. */
  waitMs: number;
};

export type Question = {
  /** Default `PingRequest`. */
  type?: string;
  /** Default: a random one. */
  id?: string;
  data?: unknown;
  /** `Prefer: wait=<seconds>`. */
  waitS?: number;
  /** Goes away when it aborts. */
  signal?: AbortSignal;
};

/** Sends an event to `publicWeb` and resolves with the answer, whatever it is. Rejects when there is none. */
export async function ask(publicWeb: Service, question: Question = {}): Promise<Answer> {
  const { type = 'PingRequest', id = randomUUID(), data = { sentAt: 1 }, waitS, signal } = question;
  return post(publicWeb, JSON.stringify({ id, type, data }), { waitS, signal });
}

/** Sends `body` as a plain event, as {@link ask} does. */
export async function post(
  publicWeb: Service,
  body: string,
  { waitS, signal }: Pick<Question, 'waitS' | 'signal'> = {},
): Promise<Answer> {
  const startedMs = performance.now();
  const response = await agent.request({
    origin: publicWeb.baseUrl,
    path: '/',
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(waitS ? { prefer: `wait=${waitS}` } : {}) },
    body,
    signal,
  });
  const answer = (await response.body.json()) as Answer['body'];
  return { status: response.statusCode, body: answer, waitMs: performance.now() - startedMs };
}

/** The middle one. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which `share` of them lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
