import { warnOfForgottenQueues } from '@waybill/common/broker/amqp-forgotten-queues.ts';
import { createBroker } from '@waybill/common/broker/create-broker.ts';
import { RESERVED_SERVICES } from '@waybill/common/broker/topology.ts';
import { AppError } from '@waybill/common/errors.ts';
import { EVENT_TYPE_PATTERN } from '@waybill/common/event/event.ts';
import { createHealthApp } from '@waybill/common/http/health-app.ts';
import { drainHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { serviceName } from '@waybill/common/process/instance.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { CLOSE_MS, FINISH_MS, shutdownOnSignal } from '@waybill/common/process/shutdown.ts';
import { createLogger, flushLogs } from '@waybill/common/telemetry/logging.ts';
import { shutdownTelemetry } from '@waybill/common/telemetry/shutdown-telemetry.ts';
import { loadListenerConfig } from './config.ts';
import { consumeEvents } from './consume-events.ts';
import { DEFAULT_TIMEOUT_MS, type Handler, type HandlerWithOptions } from './handler.ts';

/**
 * RabbitMQ takes a delivery back after 30 minutes without an ack, and closes the channel (faults.md). So each of its events
 * has to be started early enough to end within 25, and is given back if it was not; the slowest handler allowed leaves
 * them 5 minutes to wait for their turn.
 */
const MAX_HOLD_MS = 25 * 60_000;
const MAX_TIMEOUT_MS = 20 * 60_000;

export type ListenerOptions = {
  /**
   * Names the service's queue, `waybill.<service>`; every instance of the service shares it. Lower-case letters,
   * digits and `-`; not `replies` or `dead-letters`, whose queues are taken.
   */
  service: string;
  /** One handler per event type. The service's queue is bound to these types at start. */
  handlers: Record<string, Handler | HandlerWithOptions>;
  /** Ends what else the process does for others, beside the drain of events, as soon as it is told to stop. */
  drain?: () => Promise<void>;
  /** Closes what else the process has open, at its end: after the events under way are handled, in at most 1.5 s. */
  close?: () => Promise<void>;
};

/**
 * Runs a listener as this process: settings from the environment, health on `HEALTH_PORT`, its queues declared, events
 * handled, the broker waited for and reconnected to, and a drain on SIGTERM. Returns when it is listening for
 * health; the broker may still be away.
 *
 * Every event is acked only after all that its handler produced is confirmed by the broker; nobody else acks.
 *
 * @example
 * await createListener({
 *   service: 'greeting',
 *   handlers: {
 *     GreetingRequest: async ({ data }) => ({ reply: { type: 'GreetingResponse', data: { hello: data } } }),
 *   },
 * });
 */
export async function createListener({ service, handlers, drain, close }: ListenerOptions): Promise<void> {
  await runService(async () => {
    assertNames(service, Object.keys(handlers));
    assertTimeouts(handlers);
    const config = loadListenerConfig();
    const log = createLogger({ service: serviceName, level: config.LOG_LEVEL });
    let isStopping = false;

    const { publisher, subscriber, watch } = await createBroker({
      url: config.AMQP_URL,
      name: service,
      topology: { service, types: Object.keys(handlers) },
      log,
    });
    const consumer = consumeEvents({
      service,
      handlers,
      publisher,
      subscriber,
      concurrency: config.CONCURRENCY,
      startWithinMs: MAX_HOLD_MS - Math.max(...Object.values(handlers).map(timeoutOf)),
      log,
    });

    if (config.MANAGEMENT_URL)
      warnOfForgottenQueues({
        managementUrl: config.MANAGEMENT_URL,
        amqpUrl: config.AMQP_URL,
        service,
        types: Object.keys(handlers),
        log,
      });

    const healthApp = createHealthApp({
      log,
      readiness: () => readiness(isStopping, watch.trouble(), consumer.isActive()),
    });
    await healthApp.listen({ host: config.HOST, port: config.HEALTH_PORT });
    log.info({ healthPort: portOf(healthApp) }, 'listening');

    shutdownOnSignal({
      log,
      onSignal: () => {
        isStopping = true;
      },
      steps: [
        { name: 'events', run: () => Promise.all([consumer.drain(), drain?.()]) },
        {
          name: 'connections, health port and telemetry',
          maxMs: FINISH_MS,
          run: () =>
            Promise.all([
              publisher.close(CLOSE_MS),
              subscriber.close(),
              close?.(),
              drainHttpServer(healthApp, { idleMs: 0, deadlineMs: CLOSE_MS }),
              shutdownTelemetry(),
            ]),
        },
        { name: 'logs', run: flushLogs },
      ],
    });
  });
}

/** A listener that takes nothing from the broker is of no use yet, so unlike the other tiers it is not ready. */
function readiness(isStopping: boolean, trouble: string | undefined, isActive: boolean): string | undefined {
  if (isStopping) return 'stopping';
  return trouble ?? (isActive ? undefined : 'not subscribed: the broker is not connected');
}

function assertNames(service: string, types: string[]): void {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(service))
    throw new AppError('invalid-config', `service ${service}: lower-case letters, digits and - only`);
  if (RESERVED_SERVICES.includes(service))
    throw new AppError('invalid-config', `service ${service}: its queue would be one of Waybill's own`);
  if (types.length === 0) throw new AppError('invalid-config', `service ${service} handles no event type`);
  for (const type of types)
    if (!EVENT_TYPE_PATTERN.test(type))
      throw new AppError('invalid-config', `event type ${type} must match ${EVENT_TYPE_PATTERN.source}`);
}

function timeoutOf(handler: Handler | HandlerWithOptions): number {
  return (handler as Partial<HandlerWithOptions>).timeoutMs ?? DEFAULT_TIMEOUT_MS;
}

function assertTimeouts(handlers: ListenerOptions['handlers']): void {
  for (const [type, handler] of Object.entries(handlers)) {
    const timeoutMs = timeoutOf(handler);
    if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS))
      throw new AppError('invalid-config', `${type}: timeoutMs must be from 1 to ${MAX_TIMEOUT_MS}`);
  }
}
