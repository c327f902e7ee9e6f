/** A public-web process, and dispatchers that the test plays itself. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, beforeEach } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { BATCH_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import type { AppendResult } from '@waybill/common/internal-call/store-calls.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { type OnBatch, type StandIn, startStandIn } from '@waybill/test-harness/stand-in.ts';

const SECRET = 'a-secret-that-only-this-test-knows';
/** The keys of every process that {@link startPublicWeb} starts. */
export const keys = deriveInternalKeys([SECRET]);

/** Starts public-web with `dispatchers` as its dispatchers. */
export function startPublicWeb(
  dispatchers: readonly { url: string }[],
  env: Record<string, string> = {},
  options: { maxOpenFiles?: number } = {},
): Promise<Service> {
  const urls = dispatchers.map(({ url }) => url).join(',');
  const defaults = { INTERNAL_SECRETS: SECRET, DISPATCHER_URLS: urls, LOG_LEVEL: 'info', GRPC_PORT: '0' };
  return startService({ name: 'public-web', env: { ...defaults, ...env }, ...options });
}

/**
 * Starts a public-web and the dispatcher that it sends to, for all tests of the calling file, and ends them after these.
 * Before each test the dispatcher has forgotten its batches, and takes the next by `onBatch` (default {@link pongAll}).
 */
export async function usePublicWeb({
  env,
  onBatch = pongAll,
  ...options
}: {
  env?: Record<string, string>;
  onBatch?: OnBatch;
  maxOpenFiles?: number;
} = {}): Promise<{
  dispatcher: Dispatcher;
  publicWeb: Service;
}> {
  const dispatcher = await startDispatcher({ onBatch });
  const publicWeb = await startPublicWeb([dispatcher], env, options);
  after(async () => {
    await publicWeb.stop();
    await dispatcher.close();
  });
  beforeEach(() => {
    dispatcher.batches.length = 0;
    dispatcher.onBatch = onBatch;
  });
  return { dispatcher, publicWeb };
}

/** Starts a store that public-webs started with its URL as STORE_URLS can use; its database is in `folder`. */
export async function startStore(folder: string, env: Record<string, string> = {}): Promise<Service> {
  const database = { DATABASE_URL: `sqlite:${folder}/store.db` };
  const store = await startService({
    name: 'store',
    env: { INTERNAL_SECRETS: SECRET, ...database, ...env },
  });
  await store.ready();
  return store;
}

/** Appends replies to a store, as a dispatcher does; resolves with what became of each. */
export async function append(store: Service, replies: CloudEvent[]): Promise<AppendResult[]> {
  const response = await postSigned(`${store.baseUrl}/append`, replies);
  assert.equal(response.status, 200);
  return ((await response.json()) as { results: AppendResult[] }).results;
}

/** Pushes to whoever is to be told of what was appended, as a dispatcher does. */
export async function push(results: AppendResult[], replies: CloudEvent[]): Promise<void> {
  for (const [index, { push: told }] of results.entries()) {
    if (!told) continue;
    const { holder, ...position } = told;
    const pushed = { instance: holder.instance, ...position, event: replies[index] };
    assert.equal((await postSigned(holder.url, [pushed])).status, 200);
  }
}

/** Posts what is signed as a dispatcher signs it. */
export function postSigned(url: string, value: unknown): Promise<Response> {
  const body = JSON.stringify(value);
  const signature = signRequest({ method: 'POST', path: new URL(url).pathname, body, keys: keys.call });
  return fetch(url, { method: 'POST', headers: { 'content-type': BATCH_CONTENT_TYPE, ...signature }, body });
}

/** A dispatcher played by the test. */
export type Dispatcher = StandIn;

/** Starts a {@link Dispatcher}; by default it answers every event with {@link pongAll}. */
export function startDispatcher(
  options: Partial<Pick<Dispatcher, 'onBatch' | 'port'>> = {},
): Promise<Dispatcher> {
  return startStandIn({ keys: keys.call, onBatch: pongAll, ...options });
}

/** Confirms every event and answers it as ping-listener would. */
export async function pongAll(events: CloudEvent[], response: ServerResponse): Promise<void> {
  answer(response);
  await deliver(events.map((event) => pong(event)));
}

/** Confirms every event and answers none. */
export const confirmAll: OnBatch = (_events, response) => answer(response);

/** The answer of intake; what is not named is confirmed. */
export function answer(response: ServerResponse, outcomes: object = {}): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ unroutable: [], rejected: [], unknown: [], ...outcomes }));
}

/** The reply of ping-listener to `event`, with what a listener copies and adds. */
export function pong(event: CloudEvent, changes: Partial<CloudEvent> = {}): CloudEvent {
  const { correlationid, replyto, expirytime } = event;
  const data = { ...(event.data as object), receivedAt: 2 };
  const own = { specversion: '1.0' as const, id: `reply to ${event.id}`, source: '/waybill/ping-listener' };
  return {
    ...own,
    ...{ type: 'PingResponse', data, correlationid, replyto, expirytime, handledby: 'ping-listener/1' },
    ...changes,
  };
}

/** Delivers replies of one instance, as a dispatcher does; resolves with the correlation ids nobody waits for. */
export async function deliver(replies: CloudEvent[]): Promise<string[]> {
  if (replies.length === 0) return [];
  const response = await postReplies(replies);
  assert.equal(response.status, 200);
  return ((await response.json()) as { unknown: string[] }).unknown;
}

/** Calls the `/dispatch` that the first reply names, signed unless `headers` say otherwise. */
export function postReplies(replies: CloudEvent[], headers?: Record<string, string>): Promise<Response> {
  const body = JSON.stringify(replies);
  const signature = signRequest({ method: 'POST', path: '/dispatch', body, keys: keys.call });
  return fetch(addressOf(replies[0]), {
    method: 'POST',
    headers: { 'content-type': BATCH_CONTENT_TYPE, ...(headers ?? signature) },
    body,
  });
}

function addressOf(reply: CloudEvent | undefined): string {
  const claims = String(reply?.replyto).split('.')[1] ?? '';
  return JSON.parse(Buffer.from(claims, 'base64url').toString()).url;
}
