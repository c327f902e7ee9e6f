/** The whole system as processes, with what a fuzz looks at: every port, and what each process holds. */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker } from '@waybill/test-harness/test-broker.ts';
import { grpcAddressOf, INTERNAL_SECRETS, startSystem, tcpPortOf } from '../e2e/system.ts';

/** The keys that sign internal calls to these processes. */
export const { call: callKeys } = deriveInternalKeys([INTERNAL_SECRETS]);

export type FuzzedSystem = Awaited<ReturnType<typeof startFuzzedSystem>>;

/** Starts one process of each tier, and the collector of development. */
export async function startFuzzedSystem() {
  const broker = await freshBroker();
  const system = await startSystem({
    amqpUrl: broker.url,
    counts: { 'dataset-generator': 1, 'data-dispatch-listener': 1 },
    env: { PUBLIC_EVENT_TYPES: 'PingRequest,Nobody.*' },
  });
  const collector = await startService({ name: 'dev-telemetry' });
  await collector.ready();
  const only = (services: Service[]) => services[0] as Service;
  const publicWeb = only(system.publicWebs);
  const dispatcher = only(system.dispatchers);
  const generator = only(system.datasetGenerators);
  const dataListener = only(system.dataDispatchListeners);
  const services = [publicWeb, dispatcher, only(system.pingListeners), generator, dataListener, collector];
  return {
    publicWeb,
    dispatcher,
    pingListener: only(system.pingListeners),
    generator,
    dataListener,
    collector,
    services,
    grpcPort: Number(grpcAddressOf(publicWeb).split(':')[1]),
    datasetPort: generator.port as number,
    tcpPort: tcpPortOf(dataListener),
    /** Resolves when a ping is answered, which all three tiers and the broker have a part in. */
    async answersPing(): Promise<void> {
      const response = await fetch(`${publicWeb.baseUrl}/ping`);
      assert.equal(response.status, 200, await response.text());
    },
    /** Everything it says is stopped, and exits 0. */
    async stop(): Promise<void> {
      await Promise.all([system.stop(), collector.stop()]);
      await broker.close();
    },
  };
}

/** Resolves when the internal port takes an empty batch that is signed. */
export async function takesSignedCall(port: number, path: string): Promise<void> {
  const headers = signRequest({ method: 'POST', path, body: '[]', keys: callKeys });
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/cloudevents-batch+json' },
    body: '[]',
  });
  assert.equal(response.status, 200, await response.text());
}

/** How many sockets a process of this machine has open; Linux only. */
export function openSockets({ pid }: Service): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((fd) => linkOf(`${folder}/${fd}`).startsWith('socket:')).length;
}

/** One that was just closed is none. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
