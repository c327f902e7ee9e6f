/**
 * Answers that are fetched later: at most one for each request, by an id that only its sender knows. Nothing is stored
 * before there is an answer, so a request costs its store nothing until then.
 */
import type { AppendResult, Holder } from '@waybill/common/internal-call/store-calls.ts';
import type { Database, Row } from './database.ts';
import { MAX_AT_ONCE, removeAll } from './forget-old.ts';

/** An answer on its way in; `event` is its JSON text. */
export type NewAnswer = { id: string; event: string };

/** What is known of an answer. */
export type FoundAnswer = { state: 'pending' | 'cancelled' } | { state: 'answered'; event: string };

export type Answers = {
  /** Keeps an answer, unless there is one already (`repeated`), or it was cancelled (`gone`). On disk when it resolves. */
  keep(answer: NewAnswer): Promise<AppendResult>;
  /** The answer; while it is pending, `holder` is told of it when it comes. */
  read(id: string, holder?: Holder): Promise<FoundAnswer>;
  /** Removes the answer, and has none kept that is still to come. */
  cancel(id: string): Promise<void>;
  /** Removes what is older than it is kept, in many transactions if need be, until `isStopping`; resolves with how many. */
  forgetOld(isStopping?: () => boolean): Promise<number>;
};

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
  /** Sets `column` where there is nothing that it may not replace. */
  const set = (id: string, column: 'event' | 'is_cancelled', value: string | number) => {
    const cancelled = column === 'is_cancelled';
    return transaction((sql) =>
      sql(
        `INSERT INTO answers (id, event, is_cancelled, expires_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET event = excluded.event, is_cancelled = excluded.is_cancelled,
           expires_ms = excluded.expires_ms
         ${cancelled ? '' : 'WHERE answers.event IS NULL AND answers.is_cancelled = 0'}
         RETURNING holder_instance, holder_url`,
        [id, cancelled ? null : value, cancelled ? value : 0, nowMs() + retentionMs],
      ),
    );
  };

  return {
    async keep({ id, event }) {
      const [kept] = await set(id, 'event', event);
      if (kept) return { outcome: 'appended', ...toPush(id, kept) };
      const [found] = await transaction((sql) =>
        sql('SELECT is_cancelled, holder_instance, holder_url FROM answers WHERE id = $1', [id]),
      );
      if (found?.is_cancelled !== 0) return { outcome: 'gone' };
      return { outcome: 'repeated', ...toPush(id, found) };
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
      await set(id, 'is_cancelled', 1);
    },
    forgetOld(isStopping) {
      const params = [nowMs(), MAX_AT_ONCE];
      const removeSome = () =>
        transaction(async (sql) => (await sql(deleteExpired(lockRows), params)).length);
      return removeAll(removeSome, isStopping);
    },
  };
}

function toPush(id: string, { holder_instance: instance, holder_url: url }: Row): Pick<AppendResult, 'push'> {
  if (instance === null) return {};
  const holder = { instance: String(instance), url: String(url) };
  return { push: { holder, mailbox: id, epoch: '', head: 1, offset: 1 } };
}
