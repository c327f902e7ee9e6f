import { randomUUID } from 'node:crypto';
import { createManagementApi } from '@waybill/test-harness/management-api.ts';
import type { Rabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { startWaybill, type Waybill, type WaybillOptions } from './waybill.ts';

export type WithWaybillOptions = Omit<WaybillOptions, 'amqpUrl'> & { broker: Rabbitmq };

/** Does `work` with a Waybill in a virtual host of its own, of which nothing is left afterwards. */
export async function withWaybill<T>(
  { broker, ...options }: WithWaybillOptions,
  work: (waybill: Waybill) => Promise<T>,
): Promise<T> {
  const api = createManagementApi({ url: broker.managementUrl });
  const vhost = `bench-${randomUUID()}`;
  await api.createVhost(vhost);
  const waybill = await startWaybill({ ...options, amqpUrl: `${broker.url}/${vhost}` });
  const result = await work(waybill);
  await Promise.all(waybill.processes.map((each) => each.kill()));
  await api.deleteVhost(vhost);
  return result;
}
