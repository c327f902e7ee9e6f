import { answering } from '../expect-answer.ts';
import { WAYBILL } from '../systems.ts';
import { startWaybill, type Waybill, type WaybillOptions } from '../waybill.ts';
import { USAGE_PRELOAD } from './ask-usage.ts';
import type { BenchDatabase } from './database.ts';

export type BenchBroker = { url: string; pid: number };

/** What each measurement of clients is given. */
export type ClientsRun = {
  broker: BenchBroker;
  database: BenchDatabase;
  /** Of clients. */
  count: number;
  seconds: number;
};

/** Does `work` with a Waybill of its own that has a store, room enough, and answers. */
export async function withStoredWaybill<T>(
  { broker, database, count }: ClientsRun,
  options: Pick<WaybillOptions, 'instances'>,
  work: (waybill: Waybill) => Promise<T>,
): Promise<T> {
  // Those who have gone are not known to have gone at once, and others may ask beside them.
  const most = count * 3;
  const waybill = await startWaybill({
    ...options,
    amqpUrl: broker.url,
    databaseUrl: database.url,
    preload: [USAGE_PRELOAD],
    publicWebEnv: { MAX_CONNECTIONS: most, MAX_SESSIONS: most, MAX_PARKED: most },
  });
  await answering({ name: WAYBILL, ...waybill });
  const result = await work(waybill);
  await Promise.all(waybill.processes.map((each) => each.kill()));
  return result;
}
