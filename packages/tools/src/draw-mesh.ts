/** A mesh for people: as trees of sites in the terminal, and as a Mermaid diagram. Names in it may be a stranger's. */
import { printable } from '../../../bin/plain/printable.mjs';
import type { Connection } from './mesh-client.ts';
import { renderTable } from './render-table.ts';
import type { MeshSite } from './walk-mesh.ts';

/** Connections as a table, the newest first. */
export function drawConnections(connections: Connection[]): string {
  return renderTable(
    ['PEER', 'ADDRESS', 'STATUS', 'NAMESPACES', 'CALLS', 'FAILED', 'SINCE', 'ID', ''],
    connections
      .toReversed()
      .map((connection) => [
        connection.peer_id || '-',
        connection.address,
        connection.status,
        connection.shared_namespaces.join(', ') || '-',
        String(connection.calls),
        String(connection.failed_calls),
        connection.ended_at || connection.connected_at,
        connection.connection_id,
        connection.reason,
      ]),
  );
}

/** Each site with its namespaces, and below it whom it is connected to, as itself sees it. */
export function drawTopology(sites: MeshSite[]): string {
  return sites.map((site) => drawSite(site, sites)).join('\n\n');
}

function drawSite({ id, address, namespaces, connections, unasked }: MeshSite, sites: MeshSite[]): string {
  const title = `${clean(id)}  ${clean(address)}  ${clean(namespaces.join(', '))}`.trimEnd();
  const lines = connections.map((connection, index) => {
    const branch = index === connections.length - 1 ? '└─' : '├─';
    const { status, shared_namespaces: shared, reason } = connection;
    const said = status === 'ACTIVE' ? shared.join(', ') || 'shares nothing' : reason;
    return `${branch} ${clean(nameOf(connection, sites))}  ${status}  ${clean(said)}`.trimEnd();
  });
  return [title, ...(unasked === undefined ? [] : [`   not asked: ${clean(unasked)}`]), ...lines].join('\n');
}

/**
 * A Mermaid flowchart: a node for each site with its namespaces, a line for each two that are connected, with what they share. A
 * connection that one side or both say is not active is dotted, with its state.
 */
export function drawMermaid(sites: MeshSite[]): string {
  const nodes = sites.map(({ id, namespaces }, index) => {
    const text = [id, ...namespaces].map(quoted).join('<br>');
    return `  s${index}["${text}"]`;
  });
  const edges = new Map<string, Connection[]>();
  sites.forEach(({ connections }, from) => {
    for (const connection of connections) {
      const to = sites.findIndex(({ address }) => address === connection.address);
      const key = [from, to].sort((a, b) => a - b).join(' ');
      edges.set(key, [...(edges.get(key) ?? []), connection]);
    }
  });
  const lines = [...edges].map(([key, both]) => {
    const [from, to] = key.split(' ');
    const ended = both.find(({ status }) => status !== 'ACTIVE');
    const shared = both[0]?.shared_namespaces.join(', ') || 'nothing';
    return ended
      ? `  s${from} -. "${quoted(ended.status)}" .- s${to}`
      : `  s${from} -- "${quoted(shared)}" --- s${to}`;
  });
  return ['flowchart LR', ...nodes, ...lines].join('\n');
}

/** By its own word, else that of the peer. */
function nameOf({ address, peer_id }: Connection, sites: MeshSite[]): string {
  return sites.find((site) => site.address === address)?.id || peer_id || address;
}

function clean(text: string): string {
  return printable(text).replaceAll('\n', '\\u000a');
}

/** Text within quotes of Mermaid, which takes entity codes. */
function quoted(text: string): string {
  return clean(text).replace(/[^\w .,:/-]/g, (character) => `#${character.codePointAt(0)};`);
}
