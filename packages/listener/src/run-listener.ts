import { runService } from '@waybill/common/process/run-service.ts';
import { loadListenerConfig } from './config.ts';
import { connectListener } from './connect-listener.ts';
import type { Handlers } from './handler.ts';

/**
 * Runs a listener as this process: settings from the environment, health on `HEALTH_PORT`, its queues declared, events
 * handled, the broker waited for and reconnected to, and a drain on SIGTERM. Resolves when it answers for its
 * health; the broker may still be away.
 *
 * A process that does something else besides is a `runService` of its own with `connectListener` in it.
 *
 * @param options.service names the service's queue, `waybill.<service>`, which its instances share.
 * @param options.handlers one per event type. The queue is bound to these types at start.
 *
 * @example
 * await runListener({
 *   service: 'greeting',
 *   handlers: {
 *     GreetingRequest: async ({ data }) => ({ reply: { type: 'GreetingResponse', data: { hello: data } } }),
 *   },
 * });
 */
export function runListener<Data extends Record<string, unknown>>(options: {
  service: string;
  handlers: Handlers<Data>;
}): Promise<void> {
  return runService(loadListenerConfig, (context) => connectListener({ ...options, ...context }));
}
