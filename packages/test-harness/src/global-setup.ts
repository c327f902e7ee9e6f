/**
 * Runs once before and once after all test files (`node --test --test-global-setup`). Starts a private RabbitMQ where
 * one is installed and none is named, and tells the test files about it in the environment, which they inherit.
 */
import { createManagementApi } from './management-api.ts';
import { findRabbitmq, type Rabbitmq, startRabbitmq } from './rabbitmq.ts';

let ours: Rabbitmq | undefined;

export async function globalSetup(): Promise<void> {
  if (process.env.TEST_BROKER === 'embedded') return;
  if (process.env.TEST_AMQP_URL) return useNamedBroker(process.env.TEST_AMQP_URL);
  if (!findRabbitmq()) return;
  ours = await startRabbitmq();
  process.env.TEST_AMQP_URL = ours.url;
  process.env.TEST_MANAGEMENT_URL = ours.managementUrl;
}

export async function globalTeardown(): Promise<void> {
  await ours?.stop();
}

async function useNamedBroker(amqpUrl: string): Promise<void> {
  const { hostname, username, password } = new URL(amqpUrl);
  const usual = `http://${username || 'guest'}:${password || 'guest'}@${hostname}:15672`;
  process.env.TEST_MANAGEMENT_URL ??= usual;
  try {
    await createManagementApi({ url: process.env.TEST_MANAGEMENT_URL }).queues('/');
  } catch (cause) {
    const message = `the broker of TEST_AMQP_URL must have its management plugin on (${hostname}:15672, or set TEST_MANAGEMENT_URL)`;
    throw new Error(message, { cause });
  }
}
