/**
 * One site as a process of its own, without dispatcher and broker, for whoever freezes and kills it: its one method,
 * `shared` Only.<id>, notes each run in a file. Its argument is a {@link SiteProcess} as JSON.
 */
import { appendFileSync } from 'node:fs';
import { createGrpcServer } from '@waybill/common/grpc/grpc-server.ts';
import { pino } from 'pino';
import { createCollectiveDispatcher } from '../collective-dispatcher.ts';
import { openSqliteConnections } from '../sqlite-connections.ts';
import { createCollectorService, MAX_CALLS_PER_CONNECTION } from './collector-service.ts';
import { createGrpcPeers } from './grpc-peers.ts';

export type SiteProcess = {
  id: string;
  port: number;
  /** Where peers call it. */
  address: string;
  /** Those that it connects to by itself. */
  peers: string[];
  /** Where it finds peers instead of their addresses. */
  ways: Record<string, string>;
  /** The file of its connections. */
  connections: string;
  /** The file that gets the hint `call` of each run, a line each. */
  runs: string;
};

const given: SiteProcess = JSON.parse(process.argv[2] ?? '{}');
const { id, port, address, peers, ways, runs } = given;
const log = pino();
const openPeer = createGrpcPeers();
const site = createCollectiveDispatcher({
  ...{ id, address, namespaces: ['shared'], log },
  connections: openSqliteConnections(given.connections),
  openPeer: (at, onDropped) => openPeer(ways[at] ?? at, onDropped),
});
site.registerService('shared', 'Only', id, ({ executionContext: { call } }) => {
  appendFileSync(runs, `${call}\n`);
  return null;
});
await createGrpcServer({
  services: [createCollectorService({ site, deadlineMs: 60_000 })],
  ...{ host: '127.0.0.1', port, isServing: () => true, log },
  maxReceiveBytes: 4 * 1024 * 1024,
  maxConcurrentStreams: MAX_CALLS_PER_CONNECTION,
});
log.info({ port }, 'listening');
for (const peer of peers) site.connectTo(peer, { isPersistent: true }).catch(() => {});
await site.recoverFromRestart();
