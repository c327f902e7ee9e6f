import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { pino } from 'pino';
import { type AmqpBroker, depthOf, onRawChannel } from './amqp-bench.fixture.ts';
import { queueOf } from './amqp-route.ts';
import { EVENTS_EXCHANGE } from './amqp-topology.ts';
import type { BrokerContract, Faults, Found, Inspect } from './contract.fixture.ts';
import { createBroker } from './create-broker.ts';
import type { Source } from './ports.ts';

/** A broker that speaks AMQP, as the contract wants it described. */
export function amqpBroker({ name, url }: AmqpBroker): BrokerContract {
  return {
    name,
    async connect(options) {
      const proxy = await startTcpProxy({ target: url() });
      const log = pino({ level: 'silent' });
      const broker = await createBroker({ ...options, url: proxy.through(url()), name: 'contract', log });
      return { ...broker, faults: faultsOf(proxy), close: proxy.close };
    },
    inspect: () => inspectBy(url()),
  };
}

function faultsOf(proxy: TcpProxy): Faults {
  return {
    reset: proxy.reset,
    silence: (what) => proxy.setFault({ drop: what === 'all' ? 'both' : 'to-client' }),
    refuse() {
      proxy.setFault({ resetAfterBytes: 0 });
      proxy.reset();
    },
    restore() {
      // Before the fault ends, or what it held back would still arrive.
      proxy.reset();
      proxy.setFault({});
    },
  };
}

function inspectBy(url: string): Inspect {
  return {
    take: (from) => take(url, from),
    depth: (from) => depthOf(url, queueOf(from)),
    deleteQueue: (from) => onRawChannel(url, (channel) => channel.deleteQueue(queueOf(from))),
    deleteExchange: () => onRawChannel(url, (channel) => channel.deleteExchange(EVENTS_EXCHANGE)),
    declareQueue: (from, { maxLength }) =>
      onRawChannel(url, (channel) =>
        channel.assertQueue(queueOf(from), {
          durable: true,
          arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish', 'x-max-length': maxLength },
        }),
      ),
  };
}

function take(url: string, from: Source): Promise<Found | undefined> {
  return onRawChannel(url, async (channel) => {
    const message = await channel.get(queueOf(from), { noAck: true });
    if (!message) return undefined;
    const { contentType, headers = {}, messageId, deliveryMode } = message.properties;
    return { body: message.content, contentType, headers, messageId, isPersistent: deliveryMode === 2 };
  });
}
