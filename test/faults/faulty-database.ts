/** The database of a store, which can be lost for a while. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { startPostgresql } from '@waybill/test-harness/postgresql.ts';

/** What a store can be at. */
export const DATABASES = ['sqlite', 'postgresql'] as const;

export type DatabaseName = (typeof DATABASES)[number];

export type FaultyDatabase = {
  /** The store's `DATABASE_URL`. */
  url: string;
  /** Loses it for so long: another process locks the file (SQLite), or the server is killed and started again (PostgreSQL). */
  lose(durationMs: number): Promise<void>;
  stop(): Promise<void>;
};

/** Makes a database; a file is in `folder`. */
export function openFaultyDatabase(folder: string, name: DatabaseName): Promise<FaultyDatabase> {
  return name === 'postgresql' ? openPostgresql() : openSqlite(join(folder, 'store.db'));
}

async function openSqlite(file: string): Promise<FaultyDatabase> {
  return {
    url: `sqlite:${file}`,
    async lose(durationMs) {
      const other = new DatabaseSync(file, { timeout: 5_000 });
      other.exec('BEGIN IMMEDIATE');
      await delay(durationMs);
      other.close();
    },
    async stop() {},
  };
}

async function openPostgresql(): Promise<FaultyDatabase> {
  const { url, kill, start, stop } = await startPostgresql();
  return {
    url,
    async lose(durationMs) {
      // The server ends all its processes at once, and finds out at its start what was committed.
      await kill('SIGQUIT');
      await delay(durationMs);
      await start();
    },
    stop,
  };
}
