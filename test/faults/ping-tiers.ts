/** What the tests share in which one of each tier is enough: they run on a virtual host of their own. */
import { after, before } from 'node:test';
import { createManagementApi, type ManagementApi } from '@waybill/test-harness/management-api.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { createTiers, type Tiers } from './tiers.ts';

export type PingTiers = {
  broker: TestBroker;
  api: ManagementApi;
  tiers: Tiers;
  web: Service;
  dispatcher: Service;
  listener: Service;
};

/**
 * Starts a dispatcher, a ping-listener and a public-web before the tests of the calling suite, and stops them after them.
 * Needs a RabbitMQ.
 *
 * @returns what gives them, from then on.
 */
export function usePingTiers(): () => PingTiers {
  let broker: TestBroker | undefined;
  let tiers: Tiers | undefined;
  let started: PingTiers;
  before(async () => {
    const api = createManagementApi({ url: String(process.env.TEST_MANAGEMENT_URL) });
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    const [dispatcher, listener, web] = await Promise.all([
      tiers.startDispatcher(),
      tiers.start({ name: 'ping-listener' }),
      tiers.startPublicWeb(),
    ]);
    started = { broker, api, tiers, web, dispatcher, listener };
  });
  after(async () => {
    await tiers?.stopAll();
    await broker?.close();
  });
  return () => started;
}

/** The status of `/health/ready`, and the reason if there is one. */
export async function readinessOf({ healthPort, port }: Service): Promise<[number, string | undefined]> {
  const response = await fetch(`http://127.0.0.1:${healthPort ?? port}/health/ready`);
  return [response.status, ((await response.json()) as { reason?: string }).reason];
}
