/**
 * SQLite by `node:sqlite`: one file, and one process at it. Calls are synchronous, so a slow disk holds up this whole
 * process, which is why the store is one of its own.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { AppError } from '@waybill/common/errors.ts';
import type { Database, Row, Sql } from './database.ts';

/** Statements are of a few kinds, each with up to a batch of rows. */
const MAX_STATEMENTS = 512;
/** How long a lock is waited for that another program holds: nothing else is done meanwhile, and callers give up after 3 s. */
const BUSY_MS = 1_000;

/**
 * Opens the file, and makes it and its folder where they are not there. A commit is on disk (WAL, `synchronous=FULL`).
 *
 * @throws AppError `invalid-config` when another process has it open, or it cannot be opened.
 */
export function openSqlite(path: string): Database {
  const { database, lock } = open(path);
  const sql = createSql(database);
  let last: Promise<unknown> = Promise.resolve();

  function transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const run = last.then(() => inTransaction(database, () => work(sql)));
    last = run.catch(() => {});
    return run;
  }

  return {
    name: path,
    lockRows: '',
    transaction,
    alone: transaction,
    async close() {
      await last;
      database.close();
      lock.close();
    },
  };
}

/**
 * Two processes at one file would each believe that it alone gives out offsets, which a lock held for good prevents. It is
 * on a file beside it, so that a backup can be made of the first at any time.
 */
function open(path: string): { database: DatabaseSync; lock: DatabaseSync } {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const lock = new DatabaseSync(`${path}.lock`);
    lock.exec('BEGIN EXCLUSIVE');
    const database = new DatabaseSync(path, { timeout: BUSY_MS });
    database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA auto_vacuum=INCREMENTAL');
    return { database, lock };
  } catch (cause) {
    const reason = isLocked(cause) ? 'another process has it open' : (cause as Error).message;
    throw new AppError('invalid-config', `the database ${path} cannot be opened: ${reason}`, { cause });
  }
}

function isLocked(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === SQLITE_BUSY;
}

const SQLITE_BUSY = 5;

function createSql(database: DatabaseSync): Sql {
  const statements = new Map<string, StatementSync>();
  return async (text, params = []) => {
    let statement = statements.get(text);
    if (!statement) {
      if (statements.size >= MAX_STATEMENTS) statements.clear();
      statement = database.prepare(text.replaceAll(/\$(\d+)/g, '?$1'));
      statements.set(text, statement);
    }
    return statement.all(...params) as Row[];
  };
}

async function inTransaction<T>(database: DatabaseSync, work: () => Promise<T>): Promise<T> {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = await work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
