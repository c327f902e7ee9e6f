/** The database of a measurement's store, as a production has it: what is committed is on disk. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgresql } from '@waybill/test-harness/postgresql.ts';
import { cpuWithChildrenUs } from '../process-usage.ts';
import { sum } from '../statistics.ts';

export type BenchDatabase = {
  kind: 'sqlite' | 'postgresql';
  /** For `DATABASE_URL`. */
  url: string;
  /** What it takes on disk. */
  bytes(): Promise<number>;
  /** CPU time of its own processes so far; 0 where the store is the database. */
  cpuUs(): number;
  stop(): Promise<void>;
};

/** Creates an empty one. @throws when `kind` is none, or no PostgreSQL is installed */
export async function createDatabase(kind: string): Promise<BenchDatabase> {
  if (kind === 'sqlite') return createSqlite();
  if (kind === 'postgresql') return createPostgresql();
  throw new Error(`--database: ${kind} is neither sqlite nor postgresql`);
}

async function createSqlite(): Promise<BenchDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'waybill-bench-'));
  return {
    kind: 'sqlite',
    url: `sqlite:${folder}/store.db`,
    bytes: async () => sum(readdirSync(folder).map((name) => statSync(join(folder, name)).size)),
    cpuUs: () => 0,
    stop: () => rm(folder, { recursive: true }),
  };
}

async function createPostgresql(): Promise<BenchDatabase> {
  const { url, folder, run, stop } = await startPostgresql({ isSynced: true });
  const [pid] = readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n');
  return {
    kind: 'postgresql',
    url,
    bytes: async () => Number(await run('psql', '-Atc', 'SELECT pg_database_size(current_database())', url)),
    cpuUs: () => cpuWithChildrenUs(Number(pid)),
    stop,
  };
}
