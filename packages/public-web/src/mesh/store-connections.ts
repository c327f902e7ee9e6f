/** Connections of a site in the store tier, so on whichever database that has. */
import type { Connection, Connections } from '@waybill/mesh/connections.ts';
import type { AskStore } from '../later/store-client.ts';

/** Creates the connections of `site`; what the store does not take is thrown as `not-accepted`. */
export function createStoreConnections({
  askStore,
  site,
}: {
  askStore: AskStore;
  site: string;
}): Connections {
  return {
    async save(connection) {
      const { connectionId: id, status } = connection;
      const record = JSON.stringify(connection);
      await askStore({ call: 'save-connection', site, id, isEnded: status !== 'ACTIVE', record });
    },
    async list() {
      const { records } = await askStore<{ records: string[] }>({ call: 'list-connections', site });
      return records.map((record): Connection => JSON.parse(record));
    },
    async close() {},
  };
}
