/** A public-web whose clients have used up all the files that it may have open. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { dataDispatchEnv } from './new-client.fixture.ts';
import { usePublicWeb } from './public-web.fixture.ts';

const MAX_OPEN_FILES = 100;
/** Longer than any interval at which the process looks at itself: that of the event loop's delay is 2 s. */
const HELD_MS = 2_500;
const { publicWeb } = await usePublicWeb({ env: dataDispatchEnv, maxOpenFiles: MAX_OPEN_FILES });

async function open(port: unknown): Promise<Socket> {
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => {});
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  return socket;
}

it('says at its start that the limit does not fit its settings', async () => {
  const line = await publicWeb.waitForLog(({ allowed_open_files }) => allowed_open_files === MAX_OPEN_FILES);
  assert.match(String(line.msg), /ulimit -n.*MAX_CONNECTIONS/);
});

it('goes on while clients hold all of them, and serves when they are gone', async () => {
  const { grpcPort } = await publicWeb.waitForLog(({ msg }) => msg === 'listening');
  for (const port of [publicWeb.port, grpcPort]) {
    const held: Socket[] = [];
    while (held.length < 2 * MAX_OPEN_FILES) held.push(await open(port));
    await delay(HELD_MS);
    for (const socket of held) socket.destroy();
    await eventually(async () => {
      const response = await fetch(`${publicWeb.baseUrl}/ping`, { headers: { connection: 'close' } });
      assert.equal(response.status, 200);
    });
  }
});
