/**
 * Answers that are fetched later: at most one for each request, by an id that only its sender knows. Nothing is stored
 * before there is an answer, so a request costs its store nothing until then.
 */
import type { AppendResult, Holder } from '@waybill/common/internal-call/store-calls.ts';
import type { Database, Row, Sql } from './database.ts';
import { MAX_AT_ONCE, removeAll } from './forget-old.ts';
import { placeholders } from './upsert.ts';

/** An answer on its way in; `event` is its JSON text. */
export type NewAnswer = { id: string; event: string };

/** What is known of an answer. */
export type FoundAnswer = { state: 'pending' | 'cancelled' } | { state: 'answered'; event: string };

export type Answers = {
  /**
   * Keeps all in one transaction, but those of which there is one already (`repeated`), or that were cancelled (`gone`): when it
   * resolves they are on disk. The results are in the order of `answers`.
   */
  keep(answers: readonly NewAnswer[]): Promise<AppendResult[]>;
  /** The answer; while it is pending, `holder` is told of it when it comes. */
  read(id: string, holder?: Holder): Promise<FoundAnswer>;
  /** Removes the answer, and has none kept that is still to come. */
  cancel(id: string): Promise<void>;
  /** Removes what is older than it is kept, in many transactions if need be, until `isStopping`; resolves with how many. */
  forgetOld(isStopping?: () => boolean): Promise<number>;
};

/** Puts `rows` in place of those that there are. */
function insert(rows: number): string {
  return `INSERT INTO answers (id, event, is_cancelled, expires_ms) VALUES ${placeholders(rows, 4)}
    ON CONFLICT (id) DO UPDATE SET event = excluded.event, is_cancelled = excluded.is_cancelled, expires_ms = excluded.expires_ms`;
}

const KEEP_THE_FIRST = `WHERE answers.event IS NULL AND answers.is_cancelled = 0
  RETURNING id, holder_instance, holder_url`;
/**
 * Asks twice, since another process may have filled one, which is then kept for longer, until this one gets at its row. In the order of
 * their ids, or two processes could each wait for a row of the other.
 */
const deleteExpired = (lockRows: string) => `DELETE FROM answers WHERE expires_ms < $1
  AND id IN (SELECT id FROM answers WHERE expires_ms < $1 ORDER BY id LIMIT $2${lockRows}) RETURNING id`;

/** Creates {@link Answers} in a database with the tables of `migrations.ts`; each is kept for `retentionMs`. */
export function createAnswers({
  database,
  retentionMs,
  nowMs = Date.now,
}: {
  database: Database;
  retentionMs: number;
  nowMs?: () => number;
}): Answers {
  const { transaction, lockRows } = database;

  /** What becomes of answers to as many requests. What is not kept is locked, and so cannot change before it is read. */
  async function keepEach(sql: Sql, answers: readonly NewAnswer[]): Promise<Map<string, AppendResult>> {
    const params = answers.flatMap(({ id, event }) => [id, event, 0, nowMs() + retentionMs]);
    const kept = await sql(`${insert(answers.length)} ${KEEP_THE_FIRST}`, params);
    const results = new Map(kept.map((row) => [String(row.id), toResult('appended', row)]));
    const others = answers.map(({ id }) => id).filter((id) => !results.has(id));
    if (others.length === 0) return results;
    const found = await sql(
      `SELECT id, is_cancelled, holder_instance, holder_url FROM answers WHERE id IN ${placeholders(1, others.length)}`,
      others,
    );
    for (const row of found)
      results.set(String(row.id), row.is_cancelled === 0 ? toResult('repeated', row) : { outcome: 'gone' });
    return results;
  }

  return {
    async keep(answers) {
      if (answers.length === 0) return [];
      const firsts = new Set(firstOfEach(answers));
      const results = await transaction((sql) => keepEach(sql, [...firsts]));
      return answers.map((answer) => {
        const result = results.get(answer.id) ?? { outcome: 'gone' };
        const isAgain = result.outcome === 'appended' && !firsts.has(answer);
        return isAgain ? { ...result, outcome: 'repeated' } : result;
      });
    },
    read: (id, holder) =>
      transaction(async (sql) => {
        const [row] = await sql('SELECT event, is_cancelled FROM answers WHERE id = $1', [id]);
        if (row?.is_cancelled === 1) return { state: 'cancelled' };
        if (typeof row?.event === 'string') return { state: 'answered', event: row.event };
        if (holder)
          await sql(
            `INSERT INTO answers (id, is_cancelled, holder_instance, holder_url, expires_ms) VALUES ($1, 0, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET holder_instance = excluded.holder_instance, holder_url = excluded.holder_url`,
            [id, holder.instance, holder.url, nowMs() + retentionMs],
          );
        return { state: 'pending' };
      }),
    async cancel(id) {
      await transaction((sql) => sql(insert(1), [id, null, 1, nowMs() + retentionMs]));
    },
    forgetOld(isStopping) {
      const params = [nowMs(), MAX_AT_ONCE];
      const removeSome = () =>
        transaction(async (sql) => (await sql(deleteExpired(lockRows), params)).length);
      return removeAll(removeSome, isStopping);
    },
  };
}

/** The first answer to each request, in the order of their ids, or two processes could each wait for a row of the other. */
function firstOfEach(answers: readonly NewAnswer[]): NewAnswer[] {
  const firsts = new Map(answers.toReversed().map((answer) => [answer.id, answer]));
  return [...firsts.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
}

function toResult(outcome: AppendResult['outcome'], row: Row): AppendResult {
  const { id, holder_instance: instance, holder_url: url } = row;
  if (instance === null) return { outcome };
  const holder = { instance: String(instance), url: String(url) };
  return { outcome, push: { holder, mailbox: String(id), epoch: '', head: 1, offset: 1 } };
}
