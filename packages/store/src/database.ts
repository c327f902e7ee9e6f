/**
 * The one port to a database, small enough that SQLite and PostgreSQL are the same behind it: statements with `$1`, `$2` …,
 * in transactions. What is written in SQL keeps to what both understand.
 */

/** A row by the names of its columns. Whole numbers are numbers. */
export type Row = Record<string, unknown>;

/** Runs one statement, and resolves with the rows that it returns. */
export type Sql = (text: string, params?: readonly SqlValue[]) => Promise<Row[]>;

export type SqlValue = string | number | null;

export type Database = {
  /** What names it in log lines: no password. */
  name: string;
  /** Ends a `SELECT` whose rows nobody else may change until the transaction ends. */
  lockRows: string;
  /** How long after it was written a row may be seen for the first time: 0 where transactions come one after the other. */
  seenWithinMs: number;
  /**
   * Runs `work` in a transaction. What it did is on disk when this resolves; when it rejects, with whatever `work` threw,
   * nothing of it is, unless the database went away while it committed: then nobody knows.
   */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** As {@link transaction}, alone among all processes: for what is done once. */
  alone<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};
