import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type Connection, type Connections, createMemoryConnections, MAX_ENDED } from './connections.ts';
import { openSqliteConnections } from './sqlite-connections.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-connections-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
function newPath(): string {
  files += 1;
  return join(folder, 'sub', `${files}.db`);
}

function connection(connectionId: string, changes: Partial<Connection> = {}): Connection {
  return {
    ...{ connectionId, sessionId: 's', direction: 'inbound', address: 'b:1', peerId: 'b' },
    ...{ sharedNamespaces: ['x'], status: 'ACTIVE', connectedAt: '2026-01-01T00:00:00Z' },
    ...{ calls: 0, failedCalls: 0, bytesSent: 0, bytesReceived: 0 },
    ...changes,
  };
}

const stores: [string, () => Connections][] = [
  ['memory', createMemoryConnections],
  ['SQLite', () => openSqliteConnections(newPath())],
];
for (const [name, open] of stores)
  describe(`connections in ${name}`, () => {
    it('are listed as they were saved last, the oldest first', async () => {
      const store = open();
      assert.deepEqual(await store.list(), []);
      await store.save(connection('1'));
      await store.save(connection('2'));
      const ended = connection('1', {
        status: 'FAILED',
        endedAt: '2026-01-02T00:00:00Z',
        reason: 'gone',
        calls: 7,
      });
      await store.save(ended);
      assert.deepEqual(await store.list(), [ended, connection('2')]);
      await store.close();
    });

    it('are what they were when they were saved', async () => {
      const store = open();
      const saved = connection('1');
      await store.save(saved);
      saved.calls = 1;
      assert.equal((await store.list())[0]?.calls, 0);
      await store.close();
    });

    it('stay ended, whatever an old process still saves', async () => {
      const store = open();
      const ended = connection('1', { status: 'DISCONNECTED', reason: 'this site disconnected' });
      await store.save(ended);
      await store.save(connection('1', { calls: 1 }));
      assert.deepEqual(await store.list(), [ended]);
      await store.save({ ...ended, calls: 2 });
      assert.equal((await store.list())[0]?.calls, 2);
      await store.close();
    });

    it('are forgotten when too many have ended, the oldest first, and never while they are active', async () => {
      const store = open();
      await store.save(connection('active'));
      for (let index = 0; index <= MAX_ENDED; index += 1)
        await store.save(connection(`${index}`, { status: 'STALE' }));
      const ids = (await store.list()).map(({ connectionId }) => connectionId);
      assert.equal(ids.length, MAX_ENDED + 1);
      assert.deepEqual(ids.slice(0, 2), ['active', '1']);
      await store.close();
    });
  });

it('connections in SQLite are there for the next process', async () => {
  const path = newPath();
  const store = openSqliteConnections(path);
  await store.save(connection('1'));
  await store.close();
  const next = openSqliteConnections(path);
  assert.deepEqual(await next.list(), [connection('1')]);
  await next.close();
});

it('a file that is no database is named', () => {
  const path = join(folder, 'text');
  writeFileSync(path, 'not a database'.repeat(100));
  assert.throws(() => openSqliteConnections(path), {
    code: 'invalid-config',
    message: /text cannot be opened: /,
  });
});
