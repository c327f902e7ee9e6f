import { nameService } from '@waybill/common/instance.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { loadListenerConfig } from './config.ts';
import { connectListener } from './connect-listener.ts';
import type { Handlers, Observers } from './handler.ts';

/**
 * Runs a listener as this process: settings from the environment, health on `HEALTH_PORT`, its queues declared, events
 * handled, the broker waited for and reconnected to, and a drain on SIGTERM. Resolves when it answers for its
 * health; the broker may still be away.
 *
 * A process that does something else besides is a `runService` of its own with `connectListener` in it.
 *
 * @param options.service names the service's queue, `waybill.<service>`, which its instances share, and the service in logs
 *   and telemetry, unless `OTEL_SERVICE_NAME` does.
 * @param options.handlers one per event type that the service answers. The queue is bound to these types at start.
 * @param options.observers one per event type that it only sees, from a queue of its own; see {@link Observer}.
 *
 * @example
 * await runListener({
 *   service: 'greeting',
 *   handlers: {
 *     GreetingRequest: async ({ data }) => ({ reply: { type: 'GreetingResponse', data: { hello: data } } }),
 *   },
 * });
 */
export function runListener<
  Data extends Record<string, unknown>,
  Observed extends Record<string, unknown>,
>(options: { service: string; handlers?: Handlers<Data>; observers?: Observers<Observed> }): Promise<void> {
  nameService(options.service);
  return runService(loadListenerConfig, (context) => connectListener({ ...options, ...context }));
}
