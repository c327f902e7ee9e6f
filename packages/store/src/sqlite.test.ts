import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { createAnswers } from './answers.ts';
import { MAX_AT_ONCE } from './forget-old.ts';
import { keptValuesContract } from './kept-values-contract.fixture.ts';
import { migrate } from './migrations.ts';
import { openDatabase } from './open-database.ts';
import { openSqlite } from './sqlite.ts';
import { storeContract } from './store-contract.fixture.ts';
import { upsert } from './upsert.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-sqlite-'));
after(() => rmSync(folder, { recursive: true }));
const newPath = () => join(folder, 'sub', `${randomUUID()}.db`);

storeContract('SQLite', async () => openSqlite(newPath()));
keptValuesContract('SQLite', async () => openSqlite(newPath()));

it('a second process at the same file is refused, and told why', async () => {
  const path = newPath();
  const database = openSqlite(path);
  assert.throws(() => openSqlite(path), /another process has it open/);
  await database.close();
  await openSqlite(path).close();
});

it('a database that fails and answers by turns, as a full disk does, is one line of the log', async () => {
  const lines: string[] = [];
  const log = pino({}, { write: (line) => void lines.push(JSON.parse(line).msg) });
  const { database, readiness } = openDatabase(`sqlite:${newPath()}`, log);
  for (let round = 0; round < 3; round += 1) {
    await assert.rejects(database.transaction((sql) => sql('SELECT * FROM nowhere')));
    assert.equal(readiness(), 'the database fails');
    await database.transaction((sql) => sql('SELECT 1'));
    assert.equal(readiness(), undefined);
  }
  assert.deepEqual(lines, ['the database fails']);
  await database.close();
});

it('what another program has locked is refused, and goes on when the lock is gone', async () => {
  const path = newPath();
  const { database, readiness } = openDatabase(`sqlite:${path}`, pino({ level: 'silent' }));
  await migrate(database);
  const answers = createAnswers({ database, retentionMs: 60_000 });
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  await assert.rejects(answers.keep([{ id: 'a', event: '{}' }]), { code: 'not-accepted' });
  assert.equal(readiness(), 'the database fails');
  other.close();
  assert.deepEqual(await answers.keep([{ id: 'a', event: '{}' }]), [{ outcome: 'appended' }]);
  assert.equal(readiness(), undefined);
  await database.close();
});

it('what finds no room on the disk is refused whole, and there is nothing lost when there is some again', async () => {
  const { database } = openDatabase(`sqlite:${newPath()}`, pino({ level: 'silent' }));
  await migrate(database);
  const answers = createAnswers({ database, retentionMs: 60_000 });
  await answers.keep([{ id: 'before', event: '{}' }]);
  // As the disk does, but by the page: https://sqlite.org/pragma.html#pragma_max_page_count
  const limit = (pages: number) => database.transaction((sql) => sql(`PRAGMA max_page_count = ${pages}`));
  await limit(1);
  const event = JSON.stringify('x'.repeat(100_000));
  await assert.rejects(answers.keep([{ id: 'large', event }]), { code: 'not-accepted' });
  assert.deepEqual(await answers.read('before'), { state: 'answered', event: '{}' });
  assert.deepEqual(await answers.read('large'), { state: 'pending' });
  await limit(100_000);
  assert.deepEqual(await answers.keep([{ id: 'large', event }]), [{ outcome: 'appended' }]);
  assert.deepEqual(await answers.read('large'), { state: 'answered', event });
  await database.close();
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
  await answers.keep([{ id: randomUUID(), event: '{}' }]);
  done.push('kept');
  await forgotten;
  assert.deepEqual(done, ['kept', 'forgotten']);
  await database.close();
});

it('what is asked for at once is committed together, and one that fails is undone alone', async (t) => {
  const database = openSqlite(newPath());
  await migrate(database);
  const statements = t.mock.method(DatabaseSync.prototype, 'exec').mock;
  const add = (id: string, error?: Error) =>
    database.transaction(async (sql) => {
      await upsert(sql, 'answers', ['id'], [{ id, event: '{}', is_cancelled: 0, expires_ms: 0 }]);
      if (error) throw error;
      return id;
    });
  const added = await Promise.allSettled([add('a'), add('b', new Error('no luck')), add('c')]);
  assert.deepEqual(
    added.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.message)),
    ['a', 'no luck', 'c'],
  );
  assert.equal(statements.calls.filter(({ arguments: [text] }) => text === 'COMMIT').length, 1);
  const rows = await database.transaction((sql) => sql('SELECT id FROM answers ORDER BY id'));
  assert.deepEqual(
    rows.map(({ id }) => id),
    ['a', 'c'],
  );
  await database.close();
});

it('when the commit fails, nothing of what was to be committed with it is kept', async (t) => {
  const database = openSqlite(newPath());
  await migrate(database);
  const add = (id: string) =>
    database.transaction((sql) =>
      upsert(sql, 'answers', ['id'], [{ id, event: '{}', is_cancelled: 0, expires_ms: 0 }]),
    );
  const exec = DatabaseSync.prototype.exec;
  const failing = t.mock.method(DatabaseSync.prototype, 'exec', function (this: DatabaseSync, text: string) {
    if (text === 'COMMIT') throw new Error('the disk is full');
    exec.call(this, text);
  });
  const added = await Promise.allSettled([add('a'), add('b')]);
  assert.deepEqual(
    added.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  failing.mock.restore();
  await add('c');
  const rows = await database.transaction((sql) => sql('SELECT id FROM answers'));
  assert.deepEqual(
    rows.map(({ id }) => id),
    ['c'],
  );
  await database.close();
});

it('what finds the disk full takes nothing along that was to be committed with it', async () => {
  const database = openSqlite(newPath());
  await migrate(database);
  const pages = await database.transaction((sql) => sql('PRAGMA page_count'));
  await database.transaction((sql) => sql(`PRAGMA max_page_count = ${Number(pages[0]?.page_count) + 10}`));
  const add = (id: string, event: string) =>
    database.transaction((sql) =>
      upsert(sql, 'answers', ['id'], [{ id, event, is_cancelled: 0, expires_ms: 0 }]),
    );
  const read = () => database.transaction((sql) => sql('SELECT id FROM answers'));
  const done = await Promise.allSettled([read(), add('a', '{}'), add('b', 'b'.repeat(1_000_000)), read()]);
  assert.deepEqual(
    done.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(
    (await read()).map(({ id }) => id),
    ['a'],
  );
  await database.close();
});
