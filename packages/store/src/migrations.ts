/**
 * The tables, as steps from one version to the next. A step that has been released is never changed, and none removes or
 * rewrites what is stored: a store of an older version may still be at the same database while a new one starts.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { Database, Sql } from './database.ts';

const STEPS: readonly (readonly string[])[] = [
  [
    `CREATE TABLE mailboxes (
      id TEXT PRIMARY KEY,
      owner TEXT NOT NULL,
      client TEXT NOT NULL,
      epoch TEXT NOT NULL,
      fence BIGINT NOT NULL,
      holder_instance TEXT,
      holder_url TEXT,
      head BIGINT NOT NULL,
      trimmed BIGINT NOT NULL,
      entries BIGINT NOT NULL,
      bytes BIGINT NOT NULL,
      used_ms BIGINT NOT NULL,
      UNIQUE (owner, client)
    )`,
    'CREATE INDEX mailboxes_by_use ON mailboxes (used_ms)',
    `CREATE TABLE fences (
      mailbox TEXT NOT NULL,
      fence BIGINT NOT NULL,
      next_n BIGINT NOT NULL,
      last_n BIGINT,
      closes_at_ms BIGINT,
      PRIMARY KEY (mailbox, fence)
    )`,
    `CREATE TABLE entries (
      mailbox TEXT NOT NULL,
      fence BIGINT NOT NULL,
      n BIGINT NOT NULL,
      position BIGINT,
      event TEXT NOT NULL,
      bytes BIGINT NOT NULL,
      added_ms BIGINT NOT NULL,
      PRIMARY KEY (mailbox, fence, n)
    )`,
    'CREATE INDEX entries_by_position ON entries (mailbox, position)',
    'CREATE INDEX entries_by_age ON entries (added_ms)',
    `CREATE TABLE answers (
      id TEXT PRIMARY KEY,
      event TEXT,
      is_cancelled BIGINT NOT NULL,
      holder_instance TEXT,
      holder_url TEXT,
      expires_ms BIGINT NOT NULL
    )`,
    'CREATE INDEX answers_by_expiry ON answers (expires_ms)',
  ],
  ['ALTER TABLE entries ADD COLUMN due_ms BIGINT'],
  [
    `CREATE TABLE mesh_connections (
      site TEXT NOT NULL,
      id TEXT NOT NULL,
      number BIGINT NOT NULL,
      is_ended BIGINT NOT NULL,
      record TEXT NOT NULL,
      PRIMARY KEY (site, id)
    )`,
  ],
  ['ALTER TABLE fences ADD COLUMN call_id TEXT'],
  ['ALTER TABLE fences ADD COLUMN event_id TEXT'],
  [
    `CREATE TABLE kept_values (
      id TEXT PRIMARY KEY,
      value TEXT NOT NULL,
      claim TEXT,
      expires_ms BIGINT NOT NULL
    )`,
    'CREATE INDEX kept_values_by_expiry ON kept_values (expires_ms)',
  ],
  [
    'ALTER TABLE mailboxes ADD COLUMN changed_ms BIGINT',
    'CREATE INDEX mailboxes_by_change ON mailboxes (changed_ms)',
  ],
  [
    'ALTER TABLE kept_values ADD COLUMN owner TEXT',
    'ALTER TABLE kept_values ADD COLUMN bytes BIGINT',
    'ALTER TABLE kept_values ADD COLUMN replaced_bytes BIGINT',
    // With what is summed up, which in SQLite is behind the whole value of its row. An index of its own would cost each key 20 µs more.
    'DROP INDEX kept_values_by_expiry',
    'CREATE INDEX kept_values_by_expiry ON kept_values (expires_ms, owner, bytes)',
  ],
];

/**
 * Brings the database to the version of this program, in one transaction that no other process shares. One that is of a
 * later version already is left as it is.
 *
 * @throws AppError `invalid-config` when the database is of a version that this program does not know.
 */
export function migrate(database: Database): Promise<void> {
  return database.alone(async (sql) => {
    await sql('CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)');
    const version = await currentVersion(sql);
    if (version > STEPS.length)
      throw new AppError(
        'invalid-config',
        `the database is of version ${version}, this program knows ${STEPS.length}: start a newer one`,
      );
    for (const step of STEPS.slice(version)) for (const statement of step) await sql(statement);
    if (version === 0) await sql('INSERT INTO schema_version (version) VALUES ($1)', [STEPS.length]);
    else await sql('UPDATE schema_version SET version = $1', [STEPS.length]);
  });
}

async function currentVersion(sql: Sql): Promise<number> {
  const [row] = await sql('SELECT version FROM schema_version');
  return Number(row?.version ?? 0);
}
