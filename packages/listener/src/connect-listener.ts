import { warnOfForgottenQueues } from '@waybill/common/broker/amqp-forgotten-queues.ts';
import { createBroker } from '@waybill/common/broker/create-broker.ts';
import type { RunningService } from '@waybill/common/process/run-service.ts';
import { CLOSE_MS } from '@waybill/common/shutdown-bounds.ts';
import type { Logger } from 'pino';
import { assertListener } from './assert-listener.ts';
import type { ListenerConfig } from './config.ts';
import { createListener } from './create-listener.ts';
import { describeTypes } from './describe-types.ts';
import type { Handlers, Observers } from './handler.ts';
import { orderedTypesOf } from './handler-options.ts';
import { warnOfOtherAnswerers } from './other-answerers.ts';
import { warnOfPartitions } from './warn-of-partitions.ts';

/**
 * Creates a listener with the broker that its settings name, which may still be away: a part of a service that does more
 * than listen. Its queues are declared, and it is waited for and reconnected to.
 *
 * @throws AppError as {@link createListener}.
 */
export async function connectListener<
  Data extends Record<string, unknown>,
  Observed extends Record<string, unknown>,
>({
  service,
  handlers = {} as Handlers<Data>,
  observers = {} as Observers<Observed>,
  config,
  log,
}: {
  service: string;
  handlers?: Handlers<Data>;
  observers?: Observers<Observed> | undefined;
  config: ListenerConfig;
  log: Logger;
}): Promise<Required<Omit<RunningService, 'ports'>>> {
  assertListener(service, handlers, observers);
  const types = Object.keys(handlers);
  const { AMQP_URL: amqpUrl, MANAGEMENT_URL: managementUrl, CONCURRENCY: concurrency } = config;
  const { publisher, subscriber, watch } = await createBroker({
    url: amqpUrl,
    name: service,
    topology: {
      ...{ service, types, observedTypes: Object.keys(observers) },
      orderedTypes: orderedTypesOf(handlers),
    },
    log,
  });
  if (managementUrl) warnOfForgottenQueues({ managementUrl, amqpUrl, service, types, log });
  const stopping = new AbortController();
  const orderedTypes = orderedTypesOf(handlers);
  if (orderedTypes.length === 0) warnOfPartitions({ service, subscriber, signal: stopping.signal, log });
  warnOfOtherAnswerers({ service, types, publisher, subscriber, signal: stopping.signal, log });
  const listener = createListener({
    ...{ service, handlers, observers, publisher, subscriber, concurrency, log },
    maxEventBytes: config.MAX_EVENT_BYTES,
  });
  return {
    // One that takes nothing from the broker is of no use yet, so unlike the other tiers it is not ready.
    readiness: () =>
      watch.trouble() ??
      (listener.isActive()
        ? undefined
        : `not subscribed: ${watch.whyNotConnected() ?? 'the broker is not connected'}`),
    facts: () => ({
      queue: service,
      answers: types,
      observes: Object.keys(observers),
      inFlight: listener.inFlight(),
    }),
    describe: () => describeTypes(handlers),
    drain() {
      stopping.abort();
      return listener.drain();
    },
    close: () => Promise.all([publisher.close(CLOSE_MS), subscriber.close()]),
  };
}
