import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCollectiveDispatcher } from '@waybill/mesh/collective-dispatcher.ts';
import { createMemoryConnections } from '@waybill/mesh/connections.ts';
import { pino } from 'pino';
import { joinMesh } from './create-site.ts';

test('a key that is shown to a peer in plain text, beyond this machine, is warned of', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  const site = createCollectiveDispatcher({
    ...{ id: 'berlin', address: 'berlin.example:1', namespaces: [], connections: createMemoryConnections() },
    openPeer: () => assert.fail(),
    // Nobody is connected to.
    peerAt: () => undefined,
  });
  const peer = { hash: '', key: 'secret' };
  const peers = [
    { id: 'open', address: 'paris.example:1', ...peer },
    { id: 'sealed', address: 'rome.example:1', tls: true, ...peer },
    { id: 'here', address: '[::1]:1', ...peer },
  ];
  await joinMesh(site, { peers, signal: new AbortController().signal, log });
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).peer),
    ['open'],
  );
  assert.doesNotMatch(String(lines), /secret/);
});
