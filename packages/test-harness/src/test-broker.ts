/**
 * Where tests get their broker. One RabbitMQ serves a whole run (run-tests.ts starts it, or TEST_AMQP_URL names
 * one), and each test file gets a virtual host of its own there, so files neither meet nor clean up after each other.
 * Without one each test file gets an embedded broker of its own.
 *
 * @example
 * describe('the dispatcher', () => {
 *   let broker: TestBroker;
 *   before(async () => { broker = await freshBroker(); });
 *   after(() => broker.close());
 * });
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createEmbeddedBroker } from '@waybill/embedded-broker/create-embedded-broker.ts';
import { eventually } from './eventually.ts';
import { createManagementApi, type QueueDepth } from './management-api.ts';
import { findRabbitmq } from './rabbitmq.ts';

/** Why tests of RabbitMQ itself cannot run here, or false if they can: the `skip` option of a suite. */
export const rabbitmqMissing: string | false = process.env.TEST_AMQP_URL
  ? false
  : 'needs RabbitMQ: install rabbitmq-server or set TEST_AMQP_URL';

/** As {@link rabbitmqMissing}, for tests that start a RabbitMQ of their own, to which they can do what they like. */
export const cannotStartRabbitmq: string | false =
  rabbitmqMissing || (findRabbitmq() ? false : 'needs an installed RabbitMQ');

/** A virtual host on the broker of this run. */
export type TestBroker = {
  /** What to give a service as its AMQP_URL. */
  url: string;
  vhost: string;
  /** The depth of each queue by its name, up to 200 ms old (5 s on a broker that is not ours). */
  queues(): Promise<Record<string, QueueDepth>>;
  /**
   * Resolves when no queue holds a message, ready or unacked; looks twice, as depths are brought up to date late.
   * Rejects with the depths after `timeoutMs` (default: that of {@link eventually}). With `prefix` only queues
   * whose names start with it count.
   */
  emptied(options?: { timeoutMs?: number; prefix?: string }): Promise<void>;
  /** Removes the virtual host with all that is in it, and cuts the connections to it. */
  close(): Promise<void>;
};

/** Makes a virtual host, or a broker, for the calling test file. */
export async function freshBroker(): Promise<TestBroker> {
  const { TEST_AMQP_URL, TEST_MANAGEMENT_URL } = process.env;
  const host =
    TEST_AMQP_URL && TEST_MANAGEMENT_URL
      ? await onRabbitmq(TEST_AMQP_URL, TEST_MANAGEMENT_URL)
      : await onEmbeddedBroker();

  async function expectEmpty(prefix: string): Promise<void> {
    const full = Object.entries(await host.queues())
      .filter(([name, { ready, unacked }]) => ready + unacked > 0 && name.startsWith(prefix))
      .map(([name, { ready, unacked }]) => `${name}: ${ready} ready, ${unacked} unacked`);
    if (full.length > 0) throw new Error(`queues are not empty: ${full.join('; ')}`);
  }

  return {
    ...host,
    emptied: ({ timeoutMs, prefix = '' } = {}) =>
      eventually(
        async () => {
          await expectEmpty(prefix);
          await delay(300);
          await expectEmpty(prefix);
        },
        { timeoutMs },
      ),
  };
}

type Host = Omit<TestBroker, 'emptied'>;

async function onRabbitmq(amqpUrl: string, managementUrl: string): Promise<Host> {
  const api = createManagementApi({ url: managementUrl });
  const vhost = `test-${randomUUID()}`;
  await api.createVhost(vhost);
  return {
    url: withPath(amqpUrl, vhost),
    vhost,
    queues: () => api.queues(vhost),
    close: () => api.deleteVhost(vhost),
  };
}

async function onEmbeddedBroker(): Promise<Host> {
  const broker = await createEmbeddedBroker();
  return { url: broker.url, vhost: '/', queues: async () => broker.queues(), close: broker.close };
}

function withPath(url: string, vhost: string): string {
  const copy = new URL(url);
  copy.pathname = `/${encodeURIComponent(vhost)}`;
  return copy.href;
}
