/**
 * Values that are kept under a key for a while, which nobody here reads: what idempotency keys have led to, and what handlers
 * made of events.
 */
import { AppError } from '@waybill/common/errors.ts';
import { KEPT_VALUE_MAX_BYTES } from '@waybill/common/internal-call/store-calls.ts';
import { keptValues } from '@waybill/common/telemetry/metrics.ts';
import type { Database, Row, Sql } from './database.ts';
import { MAX_AT_ONCE, removeAll } from './forget-old.ts';

/** A value on its way in. */
export type NewValue = {
  /** Whose it is, `key` or `result`, a space, and what tells it from others. */
  key: string;
  value: string;
  /** How long it is kept, from now on. */
  keepMs: number;
};

/** The id by which whoever has claimed a key knows its claim. */
export type Claim = { key: string; claim: string };

/** What is kept under a key: nothing, where nothing is; null, where it is larger than was asked for. */
export type FoundValue = string | null | undefined;

export type KeptValues = {
  /**
   * In one step: resolves with what is kept under the key; or, if nothing is, keeps `value` there as a claim, and resolves with
   * undefined, also when it is asked for once more. On disk when it resolves.
   *
   * @param maxBytes as of {@link read}
   * @throws AppError `not-accepted` in the moment in which what was there is given up; as {@link keep}.
   */
  claim(value: NewValue & Claim, maxBytes?: number): Promise<FoundValue>;
  /**
   * What is kept under the key.
   *
   * @param maxBytes what is larger stays in the database (default: nothing is)
   */
  read(key: string, maxBytes?: number): Promise<FoundValue>;
  /**
   * Keeps a value in place of whatever is there. On disk when it resolves.
   *
   * @throws AppError `too-large` for one of more than {@link KEPT_VALUE_MAX_BYTES}.
   */
  keep(value: NewValue): Promise<void>;
  /** Puts `value` in place of that of a claim, if it is still one. */
  amend(claim: Claim & Pick<NewValue, 'value'>): Promise<void>;
  /** Removes a claim, if it is still one. */
  release(claim: Claim): Promise<void>;
  /** Removes what is older than it is kept, in many transactions if need be, until `isStopping`; resolves with how many. */
  forgetOld(isStopping?: () => boolean): Promise<number>;
};

/** Leaves what is too large where it is, instead of having a process read it that does not tell it. */
const FIND = `SELECT claim, CASE WHEN octet_length(value) <= $3 THEN value END AS value FROM kept_values
  WHERE id = $1 AND expires_ms > $2`;
const INSERT = `INSERT INTO kept_values (id, value, claim, expires_ms) VALUES ($1, $2, $3, $4)
  ON CONFLICT (id) DO UPDATE SET value = excluded.value, claim = excluded.claim, expires_ms = excluded.expires_ms`;
const DELETE_CLAIM = 'DELETE FROM kept_values WHERE id = $1 AND claim = $2 RETURNING id';
/**
 * Asks twice, since another process may have kept another value by the time that this one gets at the row. In the order of their keys, or
 * two processes could each wait for a row of the other.
 */
const deleteExpired = (lockRows: string) => `DELETE FROM kept_values WHERE expires_ms <= $1
  AND id IN (SELECT id FROM kept_values WHERE expires_ms <= $1 ORDER BY id LIMIT $2${lockRows}) RETURNING id`;

/** Creates {@link KeptValues} in a database with the tables of `migrations.ts`. */
export function createKeptValues({
  database,
  nowMs = Date.now,
}: {
  database: Database;
  nowMs?: () => number;
}): KeptValues {
  const { transaction, lockRows } = database;

  async function find(sql: Sql, key: string, maxBytes: number): Promise<Row | undefined> {
    const [row] = await sql(FIND, [key, nowMs(), maxBytes]);
    return row;
  }

  return {
    async claim({ key, value, claim, keepMs }, maxBytes = KEPT_VALUE_MAX_BYTES) {
      assertFits(value);
      const found = await transaction(async (sql) => {
        // First, as most that is asked for again is there, and reading locks and writes nothing.
        const kept = await find(sql, key, maxBytes);
        if (kept) return kept;
        const params = [key, value, claim, nowMs() + keepMs, nowMs()];
        const [claimed] = await sql(`${INSERT} WHERE kept_values.expires_ms <= $5 RETURNING claim`, params);
        return claimed ?? (await find(sql, key, maxBytes));
      });
      if (!found) throw new AppError('not-accepted', 'the key is being given up');
      const isOwn = found.claim === claim;
      count(key, isOwn ? 'claimed' : outcomeOf(found));
      return isOwn ? undefined : (found.value as FoundValue);
    },
    async read(key, maxBytes = KEPT_VALUE_MAX_BYTES) {
      const found = await transaction((sql) => find(sql, key, maxBytes));
      count(key, outcomeOf(found));
      return found?.value as FoundValue;
    },
    async keep({ key, value, keepMs }) {
      assertFits(value);
      await transaction((sql) => sql(INSERT, [key, value, null, nowMs() + keepMs]));
      count(key, 'kept');
    },
    async amend({ key, claim, value }) {
      assertFits(value);
      const params = [value, key, claim];
      await transaction((sql) =>
        sql('UPDATE kept_values SET value = $1 WHERE id = $2 AND claim = $3', params),
      );
    },
    async release({ key, claim }) {
      const released = await transaction((sql) => sql(DELETE_CLAIM, [key, claim]));
      if (released.length > 0) count(key, 'released');
    },
    async forgetOld(isStopping) {
      const params = [nowMs(), MAX_AT_ONCE];
      const all = await removeAll(
        database,
        async (sql) => (await sql(deleteExpired(lockRows), params)).length,
        isStopping,
      );
      keptValues.add(all, { outcome: 'forgotten' });
      return all;
    },
  };
}

function count(key: string, outcome: string): void {
  keptValues.add(1, { of: key.split(' ', 1)[0], outcome });
}

function outcomeOf(found: Row | undefined): string {
  if (!found) return 'missing';
  return found.claim === null ? 'found' : 'under-way';
}

function assertFits(value: string): void {
  if (Buffer.byteLength(value) > KEPT_VALUE_MAX_BYTES)
    throw new AppError('too-large', `more than ${KEPT_VALUE_MAX_BYTES} bytes are not kept under a key`);
}
