/**
 * dispatcher: between HTTP and AMQP. It keeps no state that a second one lacks; run any number.
 *
 *     public-web ─▶ POST /events → intake → publish ─▶ broker
 *     waybill.replies ─▶ replies → reply-callback ─▶ public-web's POST /dispatch
 */
import { createBroker } from '@waybill/common/broker/create-broker.ts';
import { createHealthApp } from '@waybill/common/http/health-app.ts';
import { drainHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { keyPairOf } from '@waybill/common/http/tls.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { createReplyAddressVerifier } from '@waybill/common/internal-call/reply-address.ts';
import { serviceName } from '@waybill/common/process/instance.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { CLOSE_MS, FINISH_MS, shutdownOnSignal } from '@waybill/common/process/shutdown.ts';
import { createLogger, flushLogs } from '@waybill/common/telemetry/logging.ts';
import { shutdownTelemetry } from '@waybill/common/telemetry/shutdown-telemetry.ts';
import { createInternalApp } from './app.ts';
import { loadDispatcherConfig } from './config.ts';
import { createLostTypes } from './lost-types.ts';
import { createPublishEvent } from './publish.ts';
import { createReadiness } from './readiness.ts';
import { consumeReplies } from './replies.ts';
import { createReplyCallback } from './reply-callback.ts';

await runService(async () => {
  const config = loadDispatcherConfig();
  const log = createLogger({ service: serviceName, level: config.LOG_LEVEL });
  const keys = deriveInternalKeys(config.INTERNAL_SECRETS);
  let isStopping = false;

  const clock = createClockCheck();
  const { publisher, subscriber, watch } = await createBroker({
    url: config.AMQP_URL,
    name: serviceName,
    topology: 'dispatcher',
    log,
  });
  const callback = createReplyCallback({ keys: keys.call, clock, log });
  const replies = consumeReplies({
    subscriber,
    publisher,
    callback,
    replyAddresses: createReplyAddressVerifier({ keys: keys.replyAddress }),
    clock,
    log,
  });

  const app = createInternalApp({
    log,
    tls: keyPairOf(config),
    isBrokerAvailable: () => publisher.isAvailable() && subscriber.isConnected(),
    publishEvent: createPublishEvent({
      publisher,
      lostTypes: createLostTypes({ publisher, watch, log }),
      maxByType: config.BATCH_MAX_BY_TYPE,
      log,
    }),
    keys: keys.call,
    clock,
    isStopping: () => isStopping,
  });
  const healthApp = createHealthApp({
    log,
    readiness: createReadiness({
      isStopping: () => isStopping,
      publisher,
      subscriber,
      watch,
      clock,
    }),
  });
  await app.listen({ host: config.HOST, port: config.PORT });
  await healthApp.listen({ host: config.HOST, port: config.HEALTH_PORT });
  log.info({ port: portOf(app), healthPort: portOf(healthApp) }, 'listening');

  shutdownOnSignal({
    log,
    onSignal: () => {
      isStopping = true;
    },
    steps: [
      { name: 'intake and replies', run: () => Promise.all([drainHttpServer(app), replies.drain()]) },
      {
        name: 'connections, health port and telemetry',
        maxMs: FINISH_MS,
        run: () =>
          Promise.all([
            callback.close(),
            publisher.close(CLOSE_MS),
            subscriber.close(),
            drainHttpServer(healthApp, { idleMs: 0, deadlineMs: CLOSE_MS }),
            shutdownTelemetry(),
          ]),
      },
      { name: 'logs', run: flushLogs },
    ],
  });
});
