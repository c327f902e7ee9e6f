/** PostgreSQL by `pg`: any number of processes at one database. */
import { AppError } from '@waybill/common/errors.ts';
import pg from 'pg';
import type { Logger } from 'pino';
import type { Database, Row, Sql } from './database.ts';

/** Connections of one process: transactions are short, and appends go one after the other. */
export const MAX_CONNECTIONS = 8;
const CONNECT_TIMEOUT_MS = 2_000;
/** How pg-pool words that others have kept all connections for as long; it has no other sign of it. */
const ALL_IN_USE = 'timeout exceeded when trying to connect';
/** Of one statement, by the server and by this end of the connection. */
const STATEMENT_TIMEOUT_MS = 4_000;
/** A statement and a commit that take long, or the clocks of two processes. */
const SEEN_WITHIN_MS = STATEMENT_TIMEOUT_MS + 1_000;
/** Processes of Waybill that do what is done once; any number that is always the same. */
const ADVISORY_LOCK = 8_090;
const INT8_OID = 20;

/** Connects when first needed. What fails rejects, and the next call tries anew. */
export function openPostgresql(url: string, log: Logger): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 500,
    idle_in_transaction_session_timeout: 2 * STATEMENT_TIMEOUT_MS,
    application_name: 'waybill-store',
    types: { getTypeParser: typeParserOf },
  });
  // Of idle ones the pool tells; it opens others when they are needed.
  pool.on('error', (error) => log.warn({ reason: error.message }, 'a connection to the database is lost'));
  // Of one in use, whose next statement fails, nothing else may be told, or the error would end the process.
  pool.on('connect', (client) => client.on('error', () => {}));

  async function transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch(refuse);
    const sql: Sql = async (text, params = []) => (await client.query<Row>(text, [...params])).rows;
    let failure: Error | undefined;
    try {
      await sql('BEGIN');
      const result = await work(sql);
      await sql('COMMIT');
      return result;
    } catch (error) {
      failure = error instanceof AppError ? await undo(sql) : (error as Error);
      throw isOfTheCall(error) ? cannotHold(error) : error;
    } finally {
      // One that failed is closed, which ends its transaction whatever state it is in.
      client.release(failure);
    }
  }

  return {
    name: withoutPassword(url),
    lockRows: ' FOR UPDATE',
    seenWithinMs: SEEN_WITHIN_MS,
    transaction,
    alone: (work) =>
      transaction(async (sql) => {
        await sql('SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
        return work(sql);
      }),
    close: () => pool.end(),
  };
}

/** @throws AppError `not-accepted` where all connections are in use, which is no failure of the database; else what is given. */
function refuse(error: Error): never {
  if (error.message !== ALL_IN_USE) throw error;
  throw new AppError('not-accepted', 'too many calls wait for the database', { cause: error });
}

/**
 * Ends a transaction whose work has refused a call, as of a full mailbox: strangers have it do so as often as they like, and a new
 * connection costs more than the call. Resolves with what keeps the connection from being used again.
 */
async function undo(sql: Sql): Promise<Error | undefined> {
  try {
    await sql('ROLLBACK');
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Whether it is a data exception (SQLSTATE class 22), as of a text with a NUL, or a number that is no whole one. */
function isOfTheCall(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code?.startsWith('22') === true;
}

function cannotHold(cause: pg.DatabaseError): AppError {
  return new AppError('invalid-request', 'the database cannot hold a value of the call', { cause });
}

/** Whole numbers of 64 bits are text to `pg`; none of these is beyond what a number holds. */
const typeParserOf = ((oid: number, format: 'text' | 'binary') =>
  oid === INT8_OID ? Number : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser;

function withoutPassword(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
