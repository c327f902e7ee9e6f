import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { it, type TestContext } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { pino } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import type { Caller } from '../../admission/admission.ts';
import type { Session, Sessions } from '../../clients/sessions.ts';
import { attachWebSocket } from './mailbox-connection.ts';

/** A client whose session has nothing for it; the connection as public-web has it, and what the client is told. */
async function connected(t: TestContext, { hasHeartbeats }: { hasHeartbeats: boolean }) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => server.close());
  await once(server, 'listening');
  const session: Pick<Session, 'token' | 'close'> = { token: 'e.0', close: async () => {} };
  const attached = await attachWebSocket({ attach: async () => session } as unknown as Sessions, {
    ...{ client: 'a client', after: undefined, isAcknowledging: true, hasHeartbeats },
    isGone: () => false,
    ...{ caller: {} as Caller, log: pino({ level: 'silent' }) },
  });
  const serving = once(server, 'connection');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.after(() => client.terminate());
  const told: string[] = [];
  client.on('message', (data) => told.push(String(data)));
  const [[socket]] = (await Promise.all([serving, once(client, 'open')])) as [[WebSocket], unknown];
  return { connection: attached.serve(socket), socket, client, told };
}

it('sends a heartbeat at once and at each check to a client that has asked for it', async (t) => {
  const { connection, socket, client, told } = await connected(t, { hasHeartbeats: true });
  for (let count = 0; count < 2; count += 1) {
    await eventually(() => assert.equal(told.length, count + 1));
    const heard = [once(client, 'message'), once(socket, 'pong')];
    connection.check();
    await Promise.all(heard);
  }
  assert.deepEqual(told, Array(3).fill('{"type":"waybill.Heartbeat"}'));
});

it('sends nothing but pings to any other', async (t) => {
  const { connection, client, told } = await connected(t, { hasHeartbeats: false });
  const pinged = once(client, 'ping');
  connection.check();
  await pinged;
  assert.deepEqual(told, []);
});
