import { randomUUID } from 'node:crypto';
import { createClient, type MailboxEvent } from '@waybill/client';
import { within } from '@waybill/common/within.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';

/** How long each step may take. */
const STEP_MS = 15_000;

/**
 * Shows a client that stays at the public-web at `url`: it asks over its connection, leaves, and has what it has missed when it is
 * back.
 *
 * @throws UserError when something does not come
 */
export async function showStream(url: string): Promise<void> {
  const client = `demo-${randomUUID().slice(0, 8)}`;
  const waybill = createClient({ url, source: '/demo' });
  const connection = waybill.connect({ client });
  console.log(`${client} connects`);
  for (const id of ['ping-1', 'ping-2', 'ping-3']) {
    const { type } = await connection.request('PingRequest', {}, { id, timeoutMs: STEP_MS });
    console.log(`${client} is answered ${id}: ${type}`);
  }
  await connection.close();
  console.log(`${client} disconnects`);

  const missed = ['ping-4', 'ping-5', 'ping-6'];
  for (const id of missed) await send(`${url}/clients/${client}/events`, id);
  console.log(`${missed.join(', ')} are sent meanwhile`);

  const all = Promise.withResolvers<void>();
  const got: MailboxEvent[] = [];
  const again = waybill.connect({
    client,
    onEvent(event) {
      got.push(event);
      console.log(`${client} has missed ${event.requestid}: ${event.type}`);
      if (got.length === missed.length) all.resolve();
    },
  });
  console.log(`${client} connects again`);
  await within(STEP_MS, Promise.race([all.promise, again.closed]));
  await again.close();
  const ids = got.map(({ requestid }) => requestid).join(', ');
  if (ids !== missed.join(', ')) throw new UserError(`the demo failed: ${client} got ${ids || 'nothing'}`);
}

async function send(url: string, id: string): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id, type: 'PingRequest', data: {} }),
    signal: AbortSignal.timeout(STEP_MS),
  });
  if (!response.ok) throw new UserError(`the demo failed: ${url} answered ${response.status}`);
}
