import { createManagementApi } from '@waybill/test-harness/management-api.ts';
import { type Rabbitmq, startRabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';

/** Where the tiers of a system meet. */
export type SystemBroker = Pick<TestBroker, 'url' | 'queues'> & {
  /**
   * The whole broker, to stop, kill or block.
   *
   * @throws where it is that of the run, which other tests use.
   */
  own(): Rabbitmq;
  stop(): Promise<void>;
};

/** A RabbitMQ of the system's own, for what happens to the broker itself: its start takes most of the processors for seconds. */
export async function startOwnBroker(): Promise<SystemBroker> {
  const rabbitmq = await startRabbitmq();
  const api = createManagementApi({ url: rabbitmq.managementUrl });
  return { url: rabbitmq.url, queues: () => api.queues('/'), own: () => rabbitmq, stop: rabbitmq.stop };
}

/** A virtual host on the broker of the run. */
export async function shareBroker(): Promise<SystemBroker> {
  const { url, queues, close } = await freshBroker();
  const own = () => {
    throw new Error('this broker is not the own one of the system');
  };
  return { url, queues, own, stop: close };
}
