import { startProcess } from '../start-process.ts';
import type { BenchBroker } from './stored-waybill.ts';

/** Starts the embedded broker, for measurements to which the broker makes no difference. */
export async function startEmbeddedBroker(): Promise<BenchBroker> {
  const program = 'packages/embedded-broker/src/main.ts';
  const { pid, port } = await startProcess({ name: 'broker', program, env: { PORT: 0 } });
  return { pid, url: `amqp://127.0.0.1:${port}` };
}
