/** Which mailboxes have changed, by one index: what those in which nothing happens cost is nothing. */
import type { Changes } from '@waybill/common/internal-call/store-calls.ts';
import type { Sql } from './database.ts';

/** Told at once; where there are more it is cheaper to look at all. */
export const MAX_CHANGED = 5_000;

/** What has changed since `since`, an `asOf` of the same `run` of a store; all that was written before `seenMs` can be seen. */
export async function findChanged(
  sql: Sql,
  { since, run, seenMs }: { since: string | undefined; run: string; seenMs: number },
): Promise<Changes> {
  const asOf = `${run}.${seenMs}`;
  const [sinceRun, sinceMs] = since?.split('.') ?? [];
  if (sinceRun !== run) return { asOf };
  const rows = await sql('SELECT id FROM mailboxes WHERE changed_ms >= $1 LIMIT $2', [
    Number(sinceMs),
    MAX_CHANGED + 1,
  ]);
  return rows.length > MAX_CHANGED ? { asOf } : { asOf, mailboxes: rows.map(({ id }) => String(id)) };
}
