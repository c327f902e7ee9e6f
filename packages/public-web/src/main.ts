/**
 * public-web: the only tier the public reaches. It parks each request, hands its event to a dispatcher, and answers
 * when a dispatcher calls back.
 *
 *     POST /events → post-event → exchange → parked-requests
 *                                          ↘ dispatcher-client → upstreams ─▶ a dispatcher
 *     a dispatcher ─▶ POST /dispatch (internal port) → post-replies → parked-requests
 */
import { drainHttpServer, portOf } from '@waybill/common/http-server.ts';
import { instanceId, serviceName } from '@waybill/common/instance.ts';
import { deriveInternalKeys } from '@waybill/common/internal-keys.ts';
import { createLogger, flushLogs } from '@waybill/common/logging.ts';
import { parked as parkedGauge } from '@waybill/common/metrics.ts';
import { createReplyAddresses, createReplyAddressVerifier } from '@waybill/common/reply-address.ts';
import { runService } from '@waybill/common/run-service.ts';
import { shutdownOnSignal } from '@waybill/common/shutdown.ts';
import { shutdownTelemetry } from '@waybill/common/shutdown-telemetry.ts';
import { createPublicApp } from './app.ts';
import { loadPublicWebConfig } from './config.ts';
import { createDispatcherClient } from './dispatcher-client.ts';
import { createExchange } from './exchange.ts';
import { createInternalApp } from './internal-app.ts';
import { createParkedRequests } from './parked-requests.ts';
import { isPublicType } from './public-types.ts';

/** Below the 8 s after which connections are cut off, so that whoever waits longer is still told the outcome. */
const DRAIN_MS = 6_000;

await runService(async () => {
  const config = loadPublicWebConfig();
  const log = createLogger({ service: serviceName, level: config.LOG_LEVEL });
  const keys = deriveInternalKeys(config.INTERNAL_SECRETS);
  let isStopping = false;

  const parked = createParkedRequests({ maxParked: config.MAX_PARKED });
  parkedGauge.addCallback((result) => result.observe(parked.size()));

  const internalApp = createInternalApp({
    log,
    parked,
    keys: keys.call,
    replyAddresses: createReplyAddressVerifier({ keys: keys.replyAddress }),
    instance: instanceId,
  });
  const internalUrl = await internalApp.listen({ host: config.INTERNAL_HOST, port: config.INTERNAL_PORT });

  const replyAddresses = createReplyAddresses({
    url: `${config.INTERNAL_URL ?? internalUrl}/dispatch`,
    instance: instanceId,
    keys: keys.replyAddress,
    maxDeadlineMs: config.DEADLINE_MS,
  });
  const dispatchers = await createDispatcherClient({
    urls: config.DISPATCHER_URLS,
    keys: keys.call,
    maxQueued: config.MAX_PARKED,
    log,
  });
  const app = await createPublicApp({
    log,
    exchange: createExchange({
      parked,
      dispatchers,
      isPublicType: (type) => isPublicType(type, config.PUBLIC_EVENT_TYPES),
      currentReplyAddress: replyAddresses.current,
    }),
    deadlineMs: config.DEADLINE_MS,
    readiness: () => (isStopping ? 'stopping' : undefined),
    maxConnections: config.MAX_CONNECTIONS,
  });
  await app.listen({ host: config.HOST, port: config.PORT });
  log.info({ port: portOf(app), internalPort: portOf(internalApp), instance: instanceId }, 'listening');

  shutdownOnSignal({
    log,
    onSignal: () => {
      isStopping = true;
    },
    steps: [
      // Replies still arrive while the parked requests drain, so the internal port closes after them.
      {
        name: 'public port and parked requests',
        run() {
          setTimeout(parked.close, DRAIN_MS).unref();
          return Promise.all([drainHttpServer(app), parked.drained()]);
        },
      },
      { name: 'internal port', run: () => drainHttpServer(internalApp) },
      { name: 'dispatchers', run: dispatchers.close },
      { name: 'telemetry', run: () => Promise.all([shutdownTelemetry(), flushLogs()]) },
    ],
  });
});
