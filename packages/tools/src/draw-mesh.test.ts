import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawConnections, drawMermaid, drawTopology } from './draw-mesh.ts';
import type { Connection } from './mesh-client.ts';
import type { MeshSite } from './walk-mesh.ts';

function connection(peer_id: string, changes: Partial<Connection> = {}): Connection {
  return {
    ...{ connection_id: `to-${peer_id}`, direction: 'outbound', address: `${peer_id}:1`, peer_id },
    ...{ shared_namespaces: ['acme'], status: 'ACTIVE', connected_at: '2026-01-01T00:00:00Z' },
    ...{ ended_at: '', reason: '', calls: 3, failed_calls: 1, bytes_sent: 0, bytes_received: 0 },
    ...changes,
  };
}

function site(id: string, connections: Connection[], changes: Partial<MeshSite> = {}): MeshSite {
  return { id, address: `${id}:1`, namespaces: ['acme'], connections, ...changes };
}

const failed = connection('c', {
  status: 'FAILED',
  reason: 'connection refused',
  ended_at: '2026-01-02T00:00:00Z',
});
const sites = [
  site('a', [connection('b'), failed]),
  site('b', [connection('a')]),
  site('c', [], { unasked: 'nothing answers' }),
];

test('a topology names each site with its namespaces, and whom it is connected to', () => {
  assert.equal(
    drawTopology(sites),
    `\
a  a:1  acme
├─ b  ACTIVE  acme
└─ c  FAILED  connection refused

b  b:1  acme
└─ a  ACTIVE  acme

c  c:1  acme
   not asked: nothing answers`,
  );
});

test('a diagram has one line for both sides of a connection, dotted where it is not active', () => {
  assert.equal(
    drawMermaid(sites),
    `\
flowchart LR
  s0["a<br>acme"]
  s1["b<br>acme"]
  s2["c<br>acme"]
  s0 -- "acme" --- s1
  s0 -. "FAILED" .- s2`,
  );
});

test('what strangers call themselves steers neither the terminal nor the diagram', () => {
  const odd = 'x\u001b[2J"]; click s0 "javascript:alert(1)"\n  s9';
  const strange = [site(odd, [], { namespaces: [odd] })];
  for (const text of [drawTopology(strange), drawConnections([connection(odd, { reason: odd })])])
    assert.ok(!text.includes('\u001b') && text.split('\n').length <= 2, text);
  const [, node, ...others] = drawMermaid(strange).split('\n');
  assert.deepEqual(others, []);
  assert.match(node ?? '', /^ {2}s0\["[^"[\]()]*"\]$/);
});

test('connections are listed with the newest first', () => {
  const [titles, first, second] = drawConnections([connection('b'), failed]).split('\n');
  assert.match(titles ?? '', /^PEER +ADDRESS +STATUS/);
  assert.match(first ?? '', /^c +c:1 +FAILED .* connection refused$/);
  assert.match(second ?? '', /^b +b:1 +ACTIVE +acme +3 +1 +2026-01-01T00:00:00Z +to-b$/);
});
