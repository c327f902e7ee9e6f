import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { needsPostgresql, type Postgresql, startPostgresql } from '@waybill/test-harness/postgresql.ts';
import { pino } from 'pino';
import { createAnswers } from './answers.ts';
import { createKeptValues } from './create-kept-values.ts';
import { createMailboxes } from './create-mailboxes.ts';
import type { Database } from './database.ts';
import { createKeptRoom } from './kept-room.ts';
import { keptValuesContract } from './kept-values-contract.fixture.ts';
import { migrate } from './migrations.ts';
import { openDatabase } from './open-database.ts';
import { MAX_CONNECTIONS, openPostgresql } from './postgresql.ts';
import { storeContract } from './store-contract.fixture.ts';

const log = pino({ level: 'silent' });
const RENEW_EPOCHS = 'UPDATE mailboxes SET epoch = substr(md5(random()::text), 1, 12)';

describe('PostgreSQL', { skip: needsPostgresql() }, () => {
  let server: Postgresql;
  before(async () => {
    server = await startPostgresql();
  });
  after(() => server.stop());

  storeContract('PostgreSQL', async () => openPostgresql(server.url, log));
  keptValuesContract('PostgreSQL', async () => openPostgresql(server.url, log));

  it('several processes append to one mailbox, and each slot has one entry at one offset', async () => {
    const databases = [openPostgresql(server.url, log), openPostgresql(server.url, log)] as const;
    const [one, two] = databases.map((database) => createMailboxes({ database, retentionMs: 60_000 }));
    await Promise.all(databases.map(migrate));
    const holder = { instance: 'i', url: 'http://127.0.0.1/push' };
    const attached = await Promise.all(
      ['a', 'b'].map((client) => one?.attach({ owner: '', client, holder, deadlineMs: 1_000 })),
    );
    const entries = (n: number) =>
      attached.map((each) => {
        const { mailbox = '', fence = 0 } = each ?? {};
        return { mailbox, fence, n, event: `{"n":${n}}`, bytes: 8 };
      });
    const appendAll = async (process: typeof one, isReversed: boolean) => {
      for (let n = 0; n < 20; n += 1) await process?.append(isReversed ? entries(n).reverse() : entries(n));
    };
    // The second in the other order: a deadlock, if rows were locked as they come.
    await Promise.all([appendAll(one, false), appendAll(two, true)]);
    for (const each of attached) {
      const page = await two?.read({ mailbox: each?.mailbox ?? '' });
      const numbers = page?.entries.map(({ offset, event }) => [offset, JSON.parse(event).n]);
      assert.deepEqual(
        numbers,
        Array.from({ length: 20 }, (_, n) => [n + 1, n]),
      );
    }
    await Promise.all(databases.map((database) => database.close()));
  });

  it('several processes keep the same answers in different orders, each once', async () => {
    const databases = [openPostgresql(server.url, log), openPostgresql(server.url, log)] as const;
    const [one, two] = databases.map((database) => createAnswers({ database, retentionMs: 60_000 }));
    await Promise.all(databases.map(migrate));
    for (let round = 0; round < 20; round += 1) {
      const ids = Array.from({ length: 20 }, () => randomUUID());
      const keep = async (process: typeof one, ids: string[]) =>
        (await process?.keep(ids.map((id) => ({ id, event: '{}' }))))?.map(({ outcome }) => outcome) ?? [];
      const kept = await Promise.all([keep(one, ids), keep(two, ids.toReversed())]);
      assert.deepEqual(kept.flat().sort(), ids.flatMap(() => ['appended', 'repeated']).sort());
    }
    await Promise.all(databases.map((database) => database.close()));
  });

  it('what another process has used in between is not forgotten', async () => {
    const database = openPostgresql(server.url, log);
    await migrate(database);
    const holder = { instance: 'i', url: 'http://127.0.0.1/push' };
    const options = { database, retentionMs: 60_000 };
    const mailboxes = createMailboxes({ ...options, nowMs: () => 0 });
    const name = { owner: '', client: 'used in between' };
    const { mailbox } = await mailboxes.attach({ ...name, holder, deadlineMs: 1_000 });
    const answers = createAnswers({ ...options, nowMs: () => 0 });
    await answers.read(mailbox, holder);
    const forget = [createMailboxes(options), createAnswers(options)].map((each) => () => each.forgetOld());
    const forgetting = await database.transaction(async (sql) => {
      await sql('UPDATE mailboxes SET used_ms = $1 WHERE id = $2', [Date.now(), mailbox]);
      await sql('UPDATE answers SET expires_ms = $1, event = $2 WHERE id = $3', [
        Date.now() + 60_000,
        '{}',
        mailbox,
      ]);
      const removed = Promise.all(forget.map((each) => each()));
      await eventually(async () => {
        const waiting = await sql('SELECT DISTINCT pid FROM pg_locks WHERE NOT granted');
        assert.equal(waiting.length, 2);
      });
      return { removed };
    });
    await forgetting.removed;
    assert.equal((await mailboxes.read({ mailbox })).mailbox, mailbox);
    assert.deepEqual(await answers.read(mailbox), { state: 'answered', event: '{}' });
    await database.close();
  });

  it('what is given up before it is committed is given up: a claim of a key, and a slot in a new mailbox', async () => {
    const database = openPostgresql(server.url, log);
    await migrate(database);
    const [done, commit] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let undone = 2;
    const stalling: Database = {
      ...database,
      transaction: (work) =>
        database.transaction(async (sql) => {
          const result = await work(sql);
          undone -= 1;
          if (undone === 0) done.resolve();
          await commit.promise;
          return result;
        }),
    };
    const room = createKeptRoom({ maxBytes: 1e9, maxOwnerBytes: 1e9 });
    const claimOf = (claim: string) => ({ key: 'k', owner: 'key ', value: claim, claim, keepMs: 60_000 });
    const name = { owner: '', client: randomUUID() };
    const id = randomUUID();
    const taking = Promise.all([
      createKeptValues({ database: stalling, room }).claim(claimOf('given up')),
      createMailboxes({ database: stalling, retentionMs: 60_000 }).reserve({
        ...name,
        id,
        count: 1,
        deadlineMs: 60_000,
      }),
    ]);
    await done.promise;
    const values = createKeptValues({ database, room });
    const mailboxes = createMailboxes({ database, retentionMs: 60_000, heardWithinMs: 0 });
    const giving = Promise.all([
      values.release(claimOf('given up')),
      mailboxes.detach({ fences: [{ ...name, id }], deadlineMs: 60_000 }),
    ]);
    const areWaiting = eventually(async () => {
      const waiting = await database.transaction((sql) =>
        sql('SELECT DISTINCT pid FROM pg_locks WHERE NOT granted'),
      );
      assert.equal(waiting.length, 2);
    });
    await areWaiting.finally(commit.resolve);
    await Promise.all([taking, giving]);
    assert.equal(await values.claim(claimOf('of a retry')), undefined);
    const held = await mailboxes.attach({ ...name, holder: { instance: 'i', url: 'u' }, deadlineMs: 1_000 });
    await mailboxes.append([{ mailbox: held.mailbox, fence: held.fence, n: 0, event: '{}', bytes: 2 }]);
    assert.equal((await mailboxes.read(name)).head, 1);
    await database.close();
  });

  it('a call that is refused leaves nothing behind, and its connection open', async () => {
    const database = openPostgresql(server.url, log);
    const ask = async (what: string) =>
      (await database.transaction((sql) => sql(`SELECT ${what} AS found`)))[0]?.found;
    const connection = await ask('pg_backend_pid()');
    const refused = database.transaction(async (sql) => {
      await sql('CREATE TABLE refused (id BIGINT)');
      throw new AppError('mailbox-full', 'the mailbox is full');
    });
    await assert.rejects(refused, { code: 'mailbox-full' });
    assert.equal(await ask('pg_backend_pid()'), connection);
    assert.equal(await ask("to_regclass('refused')"), null);
    await database.close();
  });

  it('a value that it cannot hold is a fault of the call, and not of the database', async () => {
    const { database, readiness } = openDatabase(server.url, log);
    await migrate(database);
    const room = createKeptRoom({ maxBytes: 1e9, maxOwnerBytes: 1e9 });
    const values = createKeptValues({ database, room });
    await assert.rejects(values.read('a\0b'), { code: 'invalid-request' });
    for (const keepMs of [0.5, 1e300])
      await assert.rejects(values.keep({ key: 'k', owner: 'key ', value: '{}', keepMs }), {
        code: 'invalid-request',
      });
    assert.equal(readiness(), undefined);
    await database.close();
  });

  it('that is busy refuses what waits too long for a connection, and has not failed', async () => {
    const { database, readiness } = openDatabase(server.url, log);
    const held = Promise.withResolvers<void>();
    const hold = () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const ended = database.transaction(() => {
        resolve();
        return held.promise;
      });
      return { ended, begun: Promise.race([promise, ended]) };
    };
    const all = Array.from({ length: MAX_CONNECTIONS }, hold);
    await Promise.all(all.map(({ begun }) => begun));
    await assert.rejects(
      database.transaction((sql) => sql('SELECT 1')),
      { code: 'not-accepted', message: /wait/ },
    );
    assert.equal(readiness(), undefined);
    held.resolve();
    await Promise.all(all.map(({ ended }) => ended));
    await database.close();
  });

  it('a dump is restored as docs/operations.md says, and offsets then begin in another epoch', async () => {
    const database = openPostgresql(server.url, log);
    await migrate(database);
    const holder = { instance: 'i', url: 'http://127.0.0.1/push' };
    const name = { owner: '', client: 'dumped' };
    const before = await createMailboxes({ database, retentionMs: 60_000 }).attach({
      ...name,
      holder,
      deadlineMs: 1,
    });
    const restoredUrl = server.url.replace(/postgres$/, 'restored');
    const file = join(server.folder, 'store.dump');
    await server.run('pg_dump', '--format=custom', '--file', file, server.url);
    await server.run('psql', server.url, '--command', 'CREATE DATABASE restored');
    await server.run('pg_restore', '--dbname', restoredUrl, file);
    await server.run('psql', restoredUrl, '--command', RENEW_EPOCHS);
    const restored = openPostgresql(restoredUrl, log);
    const page = await createMailboxes({ database: restored, retentionMs: 60_000 }).read(name);
    assert.equal(page.mailbox, before.mailbox);
    assert.notEqual(page.epoch, before.epoch);
    await Promise.all([database.close(), restored.close()]);
  });

  it('that is killed fails what is asked meanwhile as not accepted, and is used again when it is back', async () => {
    const { database, readiness } = openDatabase(server.url, log);
    const count = () => database.transaction((sql) => sql('SELECT COUNT(*) AS count FROM mailboxes'));
    await count();
    const underWay = database.transaction(async (sql) => {
      await sql('SELECT 1');
      await server.kill('SIGQUIT');
      await sql('SELECT 1');
    });
    await assert.rejects(underWay, { code: 'not-accepted' });
    await assert.rejects(count(), { code: 'not-accepted' });
    assert.match(readiness() ?? '', /fails/);
    await server.start();
    const [row] = await count();
    assert.equal(typeof row?.count, 'number');
    assert.equal(readiness(), undefined);
    await database.close();
  });
});
