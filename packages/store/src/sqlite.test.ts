import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { openSqlite } from './sqlite.ts';
import { storeContract } from './store-contract.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-sqlite-'));
after(() => rmSync(folder, { recursive: true }));
const newPath = () => join(folder, 'sub', `${randomUUID()}.db`);

storeContract('SQLite', async () => openSqlite(newPath()));

it('a second process at the same file is refused, and told why', async () => {
  const path = newPath();
  const database = openSqlite(path);
  assert.throws(() => openSqlite(path), /another process has it open/);
  await database.close();
  await openSqlite(path).close();
});
