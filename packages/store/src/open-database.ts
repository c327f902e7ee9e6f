import { AppError } from '@waybill/common/errors.ts';
import type { Readiness } from '@waybill/common/http/http-server.ts';
import { createOutage } from '@waybill/common/telemetry/outage.ts';
import type { Logger } from 'pino';
import type { Database } from './database.ts';
import { openPostgresql } from './postgresql.ts';
import { openSqlite } from './sqlite.ts';

/**
 * Opens the database that `url` names: `sqlite:<path>`, `postgres://…` or `postgresql://…`.
 *
 * What it cannot do now is thrown as `not-accepted`, which callers take for a reason to come again, and logged when it
 * begins and when it is over.
 */
export function openDatabase(url: string, log: Logger): { database: Database; readiness: Readiness } {
  const { pathname, protocol } = new URL(url);
  const database =
    protocol === 'sqlite:' ? openSqlite(decodeURIComponent(pathname)) : openPostgresql(url, log);
  let isAway = false;
  const note = createOutage({
    onBegun: (err) => log.error({ err, database: database.name }, 'the database fails'),
    onOver: () => log.info({ database: database.name }, 'the database answers again'),
  });

  function tell(error: unknown): void {
    isAway = error !== undefined;
    note(error);
  }

  async function guarded<T>(run: () => Promise<T>): Promise<T> {
    try {
      const result = await run();
      tell(undefined);
      return result;
    } catch (error) {
      // Ours say what is wrong with the call.
      if (error instanceof AppError) throw error;
      tell(error);
      throw new AppError('not-accepted', 'the database of the store fails', { cause: error });
    }
  }

  return {
    database: {
      ...database,
      transaction: (work) => guarded(() => database.transaction(work)),
      alone: (work) => guarded(() => database.alone(work)),
    },
    readiness: () => (isAway ? 'the database fails' : undefined),
  };
}
