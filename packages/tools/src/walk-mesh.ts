/** The whole mesh, as far as it can be seen from one site. */
import type { Connection, MeshClient, Site } from './mesh-client.ts';

/** A site; of one that could not be asked what its peers say of it. */
export type MeshSite = {
  id: string;
  address: string;
  namespaces: string[];
  /** The newest one with each peer. */
  connections: Connection[];
  /** Why it says nothing itself. */
  unasked?: string;
};

/** More are not looked for. */
const MAX_SITES = 256;

/**
 * The site that `entry` is a client of, and all that can be reached from it. Its neighbours are asked over it; others, and
 * neighbours that it does not reach, where they are, by `open`.
 *
 * @throws UserError when the first site cannot be asked
 */
export async function walkMesh(
  entry: MeshClient,
  open: ((address: string) => MeshClient) | undefined,
): Promise<MeshSite[]> {
  const first = toMeshSite(await entry.describe());
  const sites = new Map([[first.address, first]]);
  const isNeighbour = (id: string) =>
    first.connections.some(({ peer_id, status }) => peer_id === id && status === 'ACTIVE');

  async function ask(connection: Connection): Promise<MeshSite> {
    const { address, peer_id: id } = connection;
    const reasons: string[] = [];
    const ways = [
      isNeighbour(id) ? () => entry.describe(id) : undefined,
      open && (() => describeAt(open(address))),
    ];
    for (const way of ways) {
      try {
        const site = way && (await way());
        if (site) return toMeshSite(site);
      } catch (error) {
        reasons.push((error as Error).message);
      }
    }
    const unasked = reasons[0] ?? 'it is no neighbour of the site that is asked';
    return { id: id || address, address, namespaces: connection.shared_namespaces, connections: [], unasked };
  }

  for (let found = first.connections; found.length > 0; ) {
    const unknown = found.filter(({ address }) => !sites.has(address)).slice(0, MAX_SITES - sites.size);
    const byAddress = new Map(unknown.map((connection) => [connection.address, connection]));
    const asked = await Promise.all([...byAddress.values()].map(ask));
    for (const [index, address] of [...byAddress.keys()].entries())
      sites.set(address, asked[index] as MeshSite);
    found = asked.flatMap(({ connections }) => connections);
  }
  return [...sites.values()];
}

async function describeAt(client: MeshClient): Promise<Site> {
  try {
    return await client.describe();
  } finally {
    client.close();
  }
}

function toMeshSite(site: Site): MeshSite {
  return { ...site, connections: newestOf(site.connections) };
}

/** The newest connection with each address. */
export function newestOf(connections: Connection[]): Connection[] {
  return [...new Map(connections.map((connection) => [connection.address, connection])).values()];
}
