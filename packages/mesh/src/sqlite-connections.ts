/**
 * Connections in a file, by `node:sqlite`. Calls are synchronous: some 50 µs each, one for each health check of a peer that was
 * called since (30 a minute), so they do not need a process of their own.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AppError } from '@waybill/common/errors.ts';
import { type Connection, type Connections, MAX_ENDED } from './connections.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS connections (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    record TEXT NOT NULL
  ) STRICT`;
/** What has ended does not become active again: a process that was replaced may still save what it knew. */
const SAVE = `
  INSERT INTO connections (id, status, record) VALUES (?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET status = excluded.status, record = excluded.record
  WHERE status = 'ACTIVE' OR excluded.status <> 'ACTIVE'`;
const FORGET = `
  DELETE FROM connections WHERE status <> 'ACTIVE' AND number <= (
    SELECT number FROM connections WHERE status <> 'ACTIVE' ORDER BY number DESC LIMIT 1 OFFSET ${MAX_ENDED})`;

/**
 * Opens the file, and makes it and its folder where they are not there.
 *
 * @throws AppError `invalid-config` when it cannot be opened, or is no such file.
 */
export function openSqliteConnections(path: string): Connections {
  const database = open(path);
  const save = database.prepare(SAVE);
  const forget = database.prepare(FORGET);
  const list = database.prepare('SELECT record FROM connections ORDER BY number');

  return {
    async save(connection) {
      save.run(connection.connectionId, connection.status, JSON.stringify(connection));
      if (connection.status !== 'ACTIVE') forget.run();
    },
    list: async () => list.all().map(({ record }) => JSON.parse(String(record)) as Connection),
    async close() {
      database.close();
    },
  };
}

function open(path: string): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const database = new DatabaseSync(path, { timeout: 1_000 });
    database.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; ${SCHEMA}`);
    return database;
  } catch (cause) {
    const { message } = cause as Error;
    throw new AppError('invalid-config', `the connections in ${path} cannot be opened: ${message}`, {
      cause,
    });
  }
}
