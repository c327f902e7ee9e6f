/** As `listener-bench.fixture.ts`, in this process: for what neither the broker nor the end of a process makes a difference to. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { serializeError } from '@waybill/common/telemetry/serialize-error.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually, PATIENCE_MS } from '@waybill/test-harness/eventually.ts';
import { type Logger, pino } from 'pino';
import { createAnswers } from './answers.fixture.ts';
import { createBehaviours } from './behaviours.fixture.ts';
import { createListener, type Listener } from './create-listener.ts';

export type MemoryBench = Awaited<ReturnType<typeof createMemoryBench>>;

/** A listener in this process. */
export type ListenerHere = {
  /** Every line so far; grows. */
  logs: LogLine[];
  /** Resolves with the first line, past ones included, that `predicate` accepts. */
  waitForLog(predicate: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
};

/** Makes a broker and takes the part of a dispatcher on it. */
export async function createMemoryBench() {
  const broker = createMemoryBroker({ topology: 'dispatcher' });
  const running = new Set<Listener>();
  return {
    broker,
    ...(await createAnswers(broker)),

    /** Starts a listener of `service` and waits until events arrive. */
    async startReady(service: string, { concurrency }: { concurrency?: number } = {}): Promise<ListenerHere> {
      const handlers = createBehaviours(service);
      const { publisher, subscriber } = broker.connect({
        topology: { service, types: Object.keys(handlers) },
      });
      const { log, ...lines } = createMemoryLog();
      const listener = createListener({ service, handlers, publisher, subscriber, concurrency, log });
      running.add(listener);
      await eventually(() => assert.ok(listener.isActive() && publisher.isAvailable()));
      return lines;
    },

    /** Routes events of another type to `service`. */
    async bind(service: string, type: string): Promise<void> {
      const { publisher, subscriber } = broker.connect({ topology: { service, types: [type] } });
      await eventually(() => assert.ok(publisher.isAvailable()));
      await Promise.all([publisher.close(), subscriber.close()]);
    },

    /** Resolves when no queue holds a message, ready or unacked. */
    emptied: () =>
      eventually(() => {
        const full = Object.entries(broker.queues()).filter(([, { ready, unacked }]) => ready + unacked > 0);
        assert.deepEqual(full, []);
      }),

    async close(): Promise<void> {
      await Promise.all([...running].map(({ close }) => close()));
      await broker.close();
    },
  };
}

/** A log that is read in this process. */
function createMemoryLog(): ListenerHere & { log: Logger } {
  const logs: LogLine[] = [];
  const arrivals = new EventEmitter().setMaxListeners(0);
  const write = (line: string) => {
    logs.push(JSON.parse(line));
    arrivals.emit('line');
  };
  const log = pino(
    {
      level: 'debug',
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError },
    },
    { write },
  );
  return {
    log,
    logs,
    async waitForLog(predicate, timeoutMs = PATIENCE_MS) {
      const signal = AbortSignal.timeout(timeoutMs);
      for (;;) {
        const found = logs.find(predicate);
        if (found) return found;
        await once(arrivals, 'line', { signal });
      }
    },
  };
}
