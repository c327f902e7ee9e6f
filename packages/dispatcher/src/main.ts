/**
 * dispatcher: between HTTP and AMQP. It keeps no state that a second one lacks; run any number.
 *
 *     public-web ─▶ POST /events → intake → publish ─▶ broker
 *     waybill.replies ─▶ replies → deliverers: reply-callback ─▶ public-web's POST /dispatch
 *                                              reply-mailbox ─▶ a store's POST /append → push ─▶ public-web's POST /push
 */
import { createFindAnswerers } from '@waybill/common/broker/amqp-answerers.ts';
import { createBroker } from '@waybill/common/broker/create-broker.ts';
import { createPublishObserved } from '@waybill/common/broker/publish-observed.ts';
import { drainHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { keyPairOf } from '@waybill/common/http/tls.ts';
import { serviceName } from '@waybill/common/instance.ts';
import { createCallStore } from '@waybill/common/internal-call/call-store.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { createInternalApp } from '@waybill/common/internal-call/internal-app.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { createReplyAddressVerifier } from '@waybill/common/internal-call/reply-address.ts';
import { TROUBLES_PATH } from '@waybill/common/internal-call/troubles.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { CLOSE_MS } from '@waybill/common/shutdown-bounds.ts';
import { loadDispatcherConfig } from './config.ts';
import type { Deliverers } from './deliverer.ts';
import { createIntake } from './intake.ts';
import { createLostTypes } from './lost-types.ts';
import { createPublishEvent } from './publish.ts';
import { createPushes } from './pushes.ts';
import { createReadiness } from './readiness.ts';
import { consumeReplies } from './replies.ts';
import { createReplyCallback } from './reply-callback.ts';
import { createReplyMailbox } from './reply-mailbox.ts';
import { createTroubles } from './troubles.ts';

await runService(loadDispatcherConfig, async ({ config, log, isStopping }) => {
  const { AMQP_URL: amqpUrl, MANAGEMENT_URL: managementUrl } = config;
  const keys = deriveInternalKeys(config.INTERNAL_SECRETS);
  const clock = createClockCheck();
  const { publisher, subscriber, watch } = await createBroker({
    url: amqpUrl,
    name: serviceName(),
    topology: 'dispatcher',
    log,
  });
  const toPublicWeb = { keys: keys.call, clock, log };
  const mailbox =
    config.STORE_URLS &&
    createReplyMailbox({
      store: createCallStore({ urls: config.STORE_URLS, keys: keys.call, clock }),
      pushes: createPushes(toPublicWeb),
      log,
    });
  const callback = createReplyCallback({ ...toPublicWeb, later: mailbox });
  const deliverers: Deliverers = mailbox ? { callback, mailbox } : { callback };
  const replyAddresses = createReplyAddressVerifier({ keys: keys.replyAddress });
  const replies = consumeReplies({
    subscriber,
    publisher,
    deliverers,
    replyAddresses,
    clock,
    log,
  });

  const app = createInternalApp({
    log,
    tls: keyPairOf(config),
    keys: keys.call,
    clock,
    routes: {
      '/events': createIntake({
        isBrokerAvailable: () => publisher.isAvailable() && subscriber.isConnected(),
        publishEvent: createPublishEvent({
          publisher,
          publishObserved: createPublishObserved({ publisher, log }),
          lostTypes: createLostTypes({ publisher, watch, log }),
          maxByType: config.BATCH_MAX_BY_TYPE,
          log,
        }),
        isStopping,
      }),
      [TROUBLES_PATH]: createTroubles({
        replyAddresses,
        checkCallback: callback.check,
        publisher,
        subscriber,
        findAnswerers: managementUrl ? createFindAnswerers({ managementUrl, amqpUrl, log }) : undefined,
      }),
    },
  });
  await app.listen({ host: config.HOST, port: config.PORT });

  return {
    ports: { port: portOf(app) },
    readiness: createReadiness({ publisher, subscriber, watch, clock }),
    drain: () => Promise.all([drainHttpServer(app), replies.drain()]),
    close: () =>
      Promise.all([
        ...Object.values(deliverers).map((deliverer) => deliverer.close()),
        publisher.close(CLOSE_MS),
        subscriber.close(),
      ]),
  };
});
