import { type Rabbitmq, startRabbitmq } from '@waybill/test-harness/rabbitmq.ts';

/** Starts a RabbitMQ that lives as long as this process, as idle when it has nothing to do as it comes. */
export function startBroker(): Promise<Rabbitmq> {
  return startRabbitmq({ quorumTickMs: 5_000 });
}
