import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createAnswers } from './answers.ts';
import { MAX_AT_ONCE } from './forget-old.ts';
import { migrate } from './migrations.ts';
import { openSqlite } from './sqlite.ts';
import { storeContract } from './store-contract.fixture.ts';
import { upsert } from './upsert.ts';

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

it('answers are kept while many others are forgotten', async () => {
  const database = openSqlite(newPath());
  await migrate(database);
  const answers = createAnswers({ database, retentionMs: 60_000 });
  const expired = () => ({ id: randomUUID(), event: '{}', is_cancelled: 0, expires_ms: 0 });
  const rows = Array.from({ length: 3 * MAX_AT_ONCE }, expired);
  await database.transaction((sql) => upsert(sql, 'answers', ['id'], rows));
  const done: string[] = [];
  const forgotten = answers.forgetOld().then(() => done.push('forgotten'));
  await setImmediate();
  await answers.keep({ id: randomUUID(), event: '{}' });
  done.push('kept');
  await forgotten;
  assert.deepEqual(done, ['kept', 'forgotten']);
  await database.close();
});
