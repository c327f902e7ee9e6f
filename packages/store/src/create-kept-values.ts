/** {@link KeptValues} on a database, each step a transaction of its own. */
import { AppError } from '@waybill/common/errors.ts';
import { CLAIM_ROOM_BYTES, KEPT_VALUE_MAX_BYTES } from '@waybill/common/internal-call/store-calls.ts';
import { keptBytes, keptValues } from '@waybill/common/telemetry/metrics.ts';
import type { Database, Row, Sql } from './database.ts';
import { MAX_AT_ONCE, removeAll } from './forget-old.ts';
import type { Change, KeptRoom, OwnedBytes } from './kept-room.ts';
import type { Claim, FoundValue, KeptValues, NewValue } from './kept-values.ts';

/** About what a row takes besides its value, in the table and in its indexes. */
const ROW_BYTES = 500;

/** Leaves what is too large where it is, instead of having a process read it that does not tell it. */
const FIND = `SELECT claim, CASE WHEN octet_length(value) <= $3 THEN value END AS value FROM kept_values
  WHERE id = $1 AND expires_ms > $2`;
/** What it replaces is told by the row itself, as a statement returns only what is there after it. */
const INSERT = `INSERT INTO kept_values (id, value, claim, expires_ms, owner, bytes, replaced_bytes) VALUES ($1, $2, $3, $4, $5, $6, 0)
  ON CONFLICT (id) DO UPDATE SET value = excluded.value, claim = excluded.claim, expires_ms = excluded.expires_ms,
    owner = excluded.owner, bytes = excluded.bytes, replaced_bytes = coalesce(kept_values.bytes, 0)`;
const CLAIM = `${INSERT} WHERE kept_values.expires_ms <= $7 AND (kept_values.expires_ms > 0 OR kept_values.claim <> excluded.claim)
  RETURNING claim, replaced_bytes`;
const DELETE_CLAIM = 'DELETE FROM kept_values WHERE id = $1 AND claim = $2 RETURNING owner, bytes';
/** Of a claim that cannot be seen: it waits for one that is not committed yet, and what comes later still is not made. */
const VOID_CLAIM = `INSERT INTO kept_values (id, value, claim, expires_ms) VALUES ($1, '', $2, 0)
  ON CONFLICT (id) DO UPDATE SET expires_ms = 0 WHERE kept_values.claim = excluded.claim`;
/** Those of a store of before have no owner, and are gone ten minutes after it. */
const SUM = `SELECT owner, CAST(sum(bytes) AS BIGINT) AS bytes FROM kept_values WHERE owner IS NOT NULL GROUP BY owner`;
/**
 * Asks twice, since another process may have kept another value by the time that this one gets at the row. In the order of their keys, or
 * two processes could each wait for a row of the other.
 */
const deleteExpired = (lockRows: string) => `DELETE FROM kept_values WHERE expires_ms <= $1
  AND id IN (SELECT id FROM kept_values WHERE expires_ms <= $1 ORDER BY id LIMIT $2${lockRows}) RETURNING owner, bytes`;

/** Creates {@link KeptValues} in a database with the tables of `migrations.ts`; `room` is that of all values in it. */
export function createKeptValues({
  database,
  room,
  nowMs = Date.now,
}: {
  database: Database;
  room: KeptRoom;
  nowMs?: () => number;
}): KeptValues {
  const { transaction, lockRows } = database;
  keptBytes.addCallback((result) => {
    for (const [of, bytes] of room.bytes()) result.observe(bytes, { of });
  });

  async function find(sql: Sql, key: string, maxBytes: number): Promise<Row | undefined> {
    const [row] = await sql(FIND, [key, nowMs(), maxBytes]);
    return row;
  }

  /** A transaction that says by how many bytes it changes what there is: none yet, also where it is run anew. */
  function changing<T>(work: (sql: Sql, change: Change) => Promise<T>): Promise<T> {
    return room.changing((change) =>
      transaction((sql) => {
        change();
        return work(sql, change);
      }),
    );
  }

  async function insert({ key, owner, value, keepMs }: NewValue): Promise<void> {
    assertFits(value);
    const bytes = ROW_BYTES + Buffer.byteLength(value);
    const params = [key, value, null, nowMs() + keepMs, owner, bytes];
    await changing(async (sql, change) => {
      const [kept] = await sql(`${INSERT} RETURNING replaced_bytes`, params);
      change({ owner, bytes: bytes - Number(kept?.replaced_bytes) });
    });
  }

  /** What is kept, or else is now, by this claim. */
  async function findOrClaim(
    sql: Sql,
    change: Change,
    { key, owner, value, claim, keepMs, maxBytes }: NewValue & Claim & { maxBytes: number },
  ): Promise<Row | undefined> {
    // First, as most that is asked for again is there, and reading locks and writes nothing.
    const kept = await find(sql, key, maxBytes);
    if (kept) return kept;
    const bytes = ROW_BYTES + CLAIM_ROOM_BYTES;
    change({ owner, bytes });
    const params = [key, value, claim, nowMs() + keepMs, owner, bytes, nowMs()];
    const [claimed] = await sql(CLAIM, params);
    if (claimed) change({ owner, bytes: bytes - Number(claimed.replaced_bytes) });
    else change();
    return claimed ?? (await find(sql, key, maxBytes));
  }

  return {
    async claim(value, maxBytes = KEPT_VALUE_MAX_BYTES) {
      assertFits(value.value);
      const { key, claim } = value;
      const found = await changing((sql, change) => findOrClaim(sql, change, { ...value, maxBytes })).catch(
        (error) => refused(key, error),
      );
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
    async keep({ otherwise, ...kept }) {
      const { key } = kept;
      try {
        await insert(kept);
        count(key, 'kept');
      } catch (error) {
        if (otherwise === undefined || !isRefusal(error)) return refused(key, error);
        await insert({ ...kept, value: otherwise });
        count(key, 'left-out');
      }
    },
    assertRoom(owner) {
      try {
        room.assertRoom(owner);
      } catch (error) {
        refused(owner, error);
      }
    },
    async amend({ key, claim, value }) {
      assertFits(value);
      const params = [value, key, claim];
      await transaction((sql) =>
        sql('UPDATE kept_values SET value = $1 WHERE id = $2 AND claim = $3', params),
      );
    },
    async release({ key, claim }) {
      const removed = await changing(async (sql, change) => {
        const rows = await sql(DELETE_CLAIM, [key, claim]);
        if (rows.length === 0) await sql(VOID_CLAIM, [key, claim]);
        change(...rows.filter(isOwned).map(less));
        return rows;
      });
      if (removed.length > 0) count(key, 'released');
    },
    async forgetOld(isStopping) {
      const params = [nowMs(), MAX_AT_ONCE];
      const removeSome = () =>
        changing(async (sql, change) => {
          const removed = await sql(deleteExpired(lockRows), params);
          change(...removed.filter(isOwned).map(less));
          return removed.length;
        });
      const all = await removeAll(removeSome, isStopping);
      keptValues.add(all, { outcome: 'forgotten' });
      return all;
    },
    count: () => room.count(async () => (await transaction((sql) => sql(SUM))).filter(isOwned)),
  };
}

function isOwned(row: Row): row is OwnedBytes {
  return row.owner !== null && row.bytes !== null;
}

function less({ owner, bytes }: OwnedBytes): OwnedBytes {
  return { owner, bytes: -bytes };
}

/** Whether a value is refused for what it is, or for how much there is. */
function isRefusal(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'too-large' || error.code === 'keys-full');
}

/** @throws what it is given, of a key or an owner. */
function refused(of: string, error: unknown): never {
  if (error instanceof AppError && error.code === 'keys-full') count(of, 'refused');
  throw error;
}

function count(of: string, outcome: string): void {
  keptValues.add(1, { of: of.split(' ', 1)[0], outcome });
}

function outcomeOf(found: Row | undefined): string {
  if (!found) return 'missing';
  return found.claim === null ? 'found' : 'under-way';
}

function assertFits(value: string): void {
  if (Buffer.byteLength(value) > KEPT_VALUE_MAX_BYTES)
    throw new AppError('too-large', `more than ${KEPT_VALUE_MAX_BYTES} bytes are not kept under a key`);
}
