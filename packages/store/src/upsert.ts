import type { Row, Sql, SqlValue } from './database.ts';

/** Rows of one statement: SQLite takes 32,767 variables, PostgreSQL 65,535. */
const MAX_ROWS = 1_000;

/** Inserts `rows`; of one whose `keys` are there already, the other columns are replaced. */
export async function upsert(
  sql: Sql,
  table: string,
  keys: readonly string[],
  rows: readonly Row[],
): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const columns = Object.keys(first);
  const others = columns.filter((column) => !keys.includes(column));
  const updates = others.map((column) => `${column} = excluded.${column}`);
  for (let start = 0; start < rows.length; start += MAX_ROWS) {
    const some = rows.slice(start, start + MAX_ROWS);
    await sql(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${placeholders(some.length, columns.length)}
       ON CONFLICT (${keys.join(', ')}) DO UPDATE SET ${updates.join(', ')}`,
      some.flatMap((row) => columns.map((column) => (row[column] ?? null) as SqlValue)),
    );
  }
}

/** `($1, $2), ($3, $4)` for two rows of two. */
export function placeholders(rows: number, columns: number): string {
  const row = (index: number) =>
    `(${Array.from({ length: columns }, (_, column) => `$${index * columns + column + 1}`).join(', ')})`;
  return Array.from({ length: rows }, (_, index) => row(index)).join(', ');
}
