/** Sites over real gRPC, in this process. */
import type { TestContext } from 'node:test';
import { createGrpcServer } from '@waybill/common/grpc/grpc-server.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { pino } from 'pino';
import {
  type CollectiveDispatcher,
  type CollectiveDispatcherOptions,
  createCollectiveDispatcher,
} from '../collective-dispatcher.ts';
import { createMemoryConnections } from '../connections.ts';
import { createCollectorService, MAX_CALLS_PER_CONNECTION } from './collector-service.ts';
import { createGrpcPeers } from './grpc-peers.ts';

export type GrpcSite = CollectiveDispatcher & {
  /** Where peers call it: a proxy. */
  address: string;
  /** What its peers suffer on their way to it. */
  proxy: TcpProxy;
  close(): Promise<void>;
};

/** Starts a site with the namespace `shared`; a caller without a deadline waits for `deadlineMs`. */
export async function startSite(
  t: Pick<TestContext, 'after'>,
  id: string,
  { deadlineMs = 60_000, ...options }: Partial<CollectiveDispatcherOptions> & { deadlineMs?: number } = {},
): Promise<GrpcSite> {
  const port = await freePort();
  const proxy = await startTcpProxy({ target: `tcp://127.0.0.1:${port}` });
  const address = `127.0.0.1:${proxy.port}`;
  const site = createCollectiveDispatcher({
    ...{ id, address, namespaces: ['shared'], connections: createMemoryConnections() },
    openPeer: createGrpcPeers(),
    ...options,
  });
  const server = await createGrpcServer({
    services: [createCollectorService({ site, deadlineMs })],
    host: '127.0.0.1',
    port,
    isServing: () => true,
    maxReceiveBytes: 4 * 1024 * 1024,
    maxConcurrentStreams: MAX_CALLS_PER_CONNECTION,
    log: pino({ level: 'silent' }),
  });
  async function close(): Promise<void> {
    await site.shutdown();
    await server.close(0);
    await proxy.close();
  }
  t.after(close);
  return { ...site, address, proxy, close };
}
