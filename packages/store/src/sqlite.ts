/**
 * SQLite by `node:sqlite`: one file, and one process at it. Calls are synchronous, so a slow disk holds up this whole
 * process, which is why the store is one of its own.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AppError } from '@waybill/common/errors.ts';
import type { Database, Row, Sql } from './database.ts';

/** Statements are of a few kinds, each with up to a batch of rows. */
const MAX_STATEMENTS = 512;
/** How long a lock is waited for that another program holds: nothing else is done meanwhile, and callers give up after 3 s. */
const BUSY_MS = 1_000;
/** Transactions that are committed together. Nothing else is done meanwhile, for half a millisecond each. */
const MAX_TOGETHER = 64;

/**
 * Opens the file, and makes it and its folder where they are not there. A commit is on disk (WAL, `synchronous=FULL`).
 *
 * @throws AppError `invalid-config` when another process has it open, or it cannot be opened.
 */
export function openSqlite(path: string): Database {
  const { database, lock } = open(path);
  const { transaction, settled } = createGroupCommit(database);
  return {
    name: path,
    lockRows: '',
    seenWithinMs: 0,
    transaction,
    alone: transaction,
    async close() {
      await settled();
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

type Waiting = {
  /** Does the work; resolves with what tells its caller that it is on disk. */
  run(): Promise<() => void>;
  reject(error: unknown): void;
};

/**
 * One transaction after the other, in the order in which they were asked for. Those that wait are committed together, as it is the
 * disk that takes most of the time; one that fails is undone alone.
 */
function createGroupCommit(database: DatabaseSync) {
  const sql = createSql(database);
  const queue: Waiting[] = [];
  let committing: Promise<void> | undefined;

  function transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = async () => {
        const result = await work(sql);
        return () => resolve(result);
      };
      queue.push({ run, reject });
      committing ??= commitAll();
    });
  }

  async function commitAll(): Promise<void> {
    try {
      while (queue.length > 0) {
        // A commit holds up the process: what has come meanwhile is read first, and goes with the next.
        await nextTurn();
        await commit(database, queue.splice(0, MAX_TOGETHER));
      }
    } finally {
      committing = undefined;
    }
  }

  return { transaction, settled: async () => committing };
}

async function commit(database: DatabaseSync, group: readonly Waiting[]): Promise<void> {
  const rejectAll = (error: unknown) => {
    for (const { reject } of group) reject(error);
  };
  try {
    database.exec('BEGIN IMMEDIATE');
  } catch (error) {
    return rejectAll(error);
  }
  try {
    const outcomes: (() => void)[] = [];
    for (const waiting of group) outcomes.push(await inSavepoint(database, waiting));
    database.exec('COMMIT');
    for (const tell of outcomes) tell();
  } catch (error) {
    rollBack(database);
    if (group.length === 1) return rejectAll(error);
    // What one of them wrote may be more than the disk has room for, and others only read.
    for (const waiting of group) await commit(database, [waiting]);
  }
}

/**
 * Does one work; resolves with what tells its caller of it after the commit, since it may have seen what others before it did.
 *
 * @throws when that has ended the whole transaction, as a full disk does.
 */
async function inSavepoint(database: DatabaseSync, { run, reject }: Waiting): Promise<() => void> {
  database.exec('SAVEPOINT work');
  try {
    const tell = await run();
    database.exec('RELEASE work');
    return tell;
  } catch (error) {
    if (!database.isTransaction) throw error;
    database.exec('ROLLBACK TO work');
    database.exec('RELEASE work');
    return () => reject(error);
  }
}

function rollBack(database: DatabaseSync): void {
  try {
    if (database.isTransaction) database.exec('ROLLBACK');
  } catch {
    // Then the next cannot begin, and says why.
  }
}
