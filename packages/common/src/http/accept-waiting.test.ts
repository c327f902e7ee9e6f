import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { acceptWaiting } from './accept-waiting.ts';

/** A server that counts its connections; `connect` makes one while this process does nothing else, and so takes none. */
async function setUp(t: TestContext) {
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    socket.on('error', () => {}).destroy();
  });
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const connect = () => void execFileSync('bash', ['-c', `exec 3<>/dev/tcp/127.0.0.1/${port}`]);
  return { server, connect, accepted: () => accepted };
}

for (const turn of [1, 2])
  test(`a connection made in turn ${turn} of the event loop, after its look for connections, is taken`, async (t) => {
    const { server, connect, accepted } = await setUp(t);
    // Before those of the call below, and so in the same turns.
    const connected = (async () => {
      for (let count = 1; count < turn; count += 1) await nextTurn();
      setImmediate(connect);
    })();
    const [isTaken] = await Promise.all([acceptWaiting(server, 60_000).then(accepted), connected]);
    assert.equal(isTaken, 1);
  });

test('connections that come without end are taken no longer than for the time given', async (t) => {
  const { server, connect, accepted } = await setUp(t);
  server.on('connection', connect);
  const startMs = performance.now();
  connect();
  // One takes as long as a process takes to start. Ten of them are time for a second one.
  await acceptWaiting(server, 10 * (performance.now() - startMs));
  server.off('connection', connect);
  assert.ok(accepted() > 1);
});
