import { startBroker } from './start-broker.ts';

/** The broker that AMQP_URL names, or without it a RabbitMQ that lives as long as this process. */
export async function brokerUrl(): Promise<string> {
  return process.env.AMQP_URL ?? (await startBroker()).url;
}
