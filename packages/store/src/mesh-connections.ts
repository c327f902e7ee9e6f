/** Connections of the sites of a mesh, as each site records its own: a text for each, which nobody here reads. */
import { MAX_ENDED_CONNECTIONS } from '@waybill/common/internal-call/store-calls.ts';
import type { Database } from './database.ts';

export type MeshConnections = {
  /** Adds a connection of `site`, or replaces the record of the one of its id; one that has ended stays so. On disk when it resolves. */
  save(connection: { site: string; id: string; isEnded: boolean; record: string }): Promise<void>;
  /** The records of a site, the oldest first. Of those that have ended the last {@link MAX_ENDED_CONNECTIONS} are kept. */
  list(site: string): Promise<string[]>;
};

const SAVE = `INSERT INTO mesh_connections (site, id, number, is_ended, record)
  VALUES ($1, $2, (SELECT COALESCE(MAX(number), 0) + 1 FROM mesh_connections WHERE site = $1), $3, $4)
  ON CONFLICT (site, id) DO UPDATE SET is_ended = excluded.is_ended, record = excluded.record
    WHERE mesh_connections.is_ended <= excluded.is_ended`;
/** Connections of several peers that are saved at the same time may have the same number. */
const ORDER = { oldestFirst: 'number, id', newestFirst: 'number DESC, id DESC' };
const FORGET = `DELETE FROM mesh_connections WHERE site = $1 AND is_ended = 1 AND (number, id) <= (
  SELECT number, id FROM mesh_connections WHERE site = $1 AND is_ended = 1
  ORDER BY ${ORDER.newestFirst} LIMIT 1 OFFSET ${MAX_ENDED_CONNECTIONS})`;
const LIST = `SELECT record FROM mesh_connections WHERE site = $1 ORDER BY ${ORDER.oldestFirst}`;

/** Creates {@link MeshConnections} in a database with the tables of `migrations.ts`. */
export function createMeshConnections({ database }: { database: Database }): MeshConnections {
  const { transaction } = database;
  return {
    save: ({ site, id, isEnded, record }) =>
      transaction(async (sql) => {
        await sql(SAVE, [site, id, Number(isEnded), record]);
        if (isEnded) await sql(FORGET, [site]);
      }),
    list: async (site) => {
      const rows = await transaction((sql) => sql(LIST, [site]));
      return rows.map(({ record }) => String(record));
    },
  };
}
