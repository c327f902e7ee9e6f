import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCallStore } from '@waybill/common/internal-call/call-store.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import type { Connection } from '@waybill/mesh/connections.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { pino } from 'pino';
import { createAskStore } from '../later/store-client.ts';
import { keys, startStore } from '../public-web.fixture.ts';
import { createStoreConnections } from './store-connections.ts';

const log = pino({ level: 'silent' });

function connectionsAt(url: string) {
  const store = createCallStore({ urls: [url], keys: keys.call, clock: createClockCheck() });
  const connections = createStoreConnections({ askStore: createAskStore({ store, log }), site: 'berlin' });
  return { store, connections };
}

const connection: Connection = {
  ...{ connectionId: '1', sessionId: 's', direction: 'inbound', address: 'b:1', peerId: 'b' },
  ...{ sharedNamespaces: ['x', 'y'], status: 'ACTIVE', connectedAt: '2026-01-01T00:00:00Z' },
  ...{ calls: 1, failedCalls: 2, bytesSent: 3, bytesReceived: 4 },
};

test('a site finds its connections in the store as it has saved them', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-mesh-store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const process = await startStore(folder);
  const { store, connections } = connectionsAt(process.baseUrl);
  await connections.save(connection);
  await connections.save({ ...connection, connectionId: '2' });
  const ended = { ...connection, status: 'FAILED', endedAt: '2026-01-02T00:00:00Z', reason: 'gone' } as const;
  await connections.save(ended);
  assert.deepEqual(await connections.list(), [ended, { ...connection, connectionId: '2' }]);
  await store.close();
  await process.stop();
});

test('a store that is away is said to be', async () => {
  const { store, connections } = connectionsAt(`http://127.0.0.1:${await freePort()}`);
  await assert.rejects(connections.list(), { code: 'not-accepted' });
  await assert.rejects(connections.save(connection), { code: 'not-accepted' });
  await store.close();
});
