/** A store process, and calls of it as public-web and dispatchers make them. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { BATCH_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import type { AppendResult, StoreCall } from '@waybill/common/internal-call/store-calls.ts';
import { type Service, type StartServiceOptions, startService } from '@waybill/test-harness/service.ts';

const SECRET = 'a-secret-that-only-this-test-knows';
const keys = deriveInternalKeys([SECRET]);

/** Starts a store at `databaseUrl`. */
export function startStore(
  databaseUrl: string,
  { env, ...options }: Pick<StartServiceOptions, 'main' | 'env'> = {},
): Promise<Service> {
  const own = { INTERNAL_SECRETS: SECRET, DATABASE_URL: databaseUrl };
  return startService({ name: 'store', env: { ...own, ...env }, ...options });
}

/** Posts to a path of the store, signed unless `headers` say otherwise. */
export function post(
  store: Service,
  path: string,
  value: unknown,
  headers?: Record<string, string>,
): Promise<Response> {
  const body = JSON.stringify(value);
  const signature = headers ?? signRequest({ method: 'POST', path, body, keys: keys.call });
  return fetch(`${store.baseUrl}${path}`, {
    method: 'POST',
    headers: { 'content-type': BATCH_CONTENT_TYPE, ...signature },
    body,
  });
}

/** Sends a call, and gives it up as soon as the system has it; resolves then. */
export async function callAndLeave(store: Service, storeCall: StoreCall): Promise<void> {
  const body = JSON.stringify(storeCall);
  const signature = signRequest({ method: 'POST', path: '/calls', body, keys: keys.call });
  const headers = {
    host: 'store',
    'content-type': 'application/json',
    'content-length': body.length,
    ...signature,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = connect(store.port as number, '127.0.0.1');
  await once(socket, 'connect');
  socket.end(`POST /calls HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
  await once(socket, 'finish');
  socket.destroy();
}

/** Makes a call, and resolves with what is answered. */
export async function call<Answer>(store: Service, storeCall: StoreCall): Promise<Answer> {
  const response = await post(store, '/calls', storeCall);
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

/** Appends replies, and resolves with what became of each. */
export async function append(store: Service, replies: CloudEvent[]): Promise<AppendResult['outcome'][]> {
  const response = await post(store, '/append', replies);
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  const { results } = (await response.json()) as { results: AppendResult[] };
  return results.map(({ outcome }) => outcome);
}

/** A reply to what was sent under `correlationid`. */
export function newReply(correlationid: string, changes: Partial<CloudEvent> = {}): CloudEvent {
  const id = `reply to ${correlationid}`;
  return { specversion: '1.0', id, source: '/test', type: 'PingResponse', correlationid, ...changes };
}

/** An id as public-web makes them. */
export function randomKey(): string {
  return randomBytes(16).toString('base64url');
}
