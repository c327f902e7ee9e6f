/**
 * public-web: the only tier the public reaches. It parks each request, hands its event to a dispatcher, and answers
 * when a dispatcher calls back.
 *
 *     ways-in/http: POST /events → core/answer-event → ask → replies/parked-requests → inbox
 *                                                        ↘ dispatchers/dispatcher-client → upstreams ─▶ a dispatcher
 *     ways-in/websocket: GET /ws → core/answer-event, as above
 *     ways-in/grpc: ProcessEvent → event-stream → clients/create-sessions, or unstored-sessions → core/answer-event
 *     ways-in/websocket, ways-in/http: /clients/{client} → clients/sessions → clients/send-to-slot; delivery ─▶ a store
 *     ways-in/http: POST /clients, ways-in/grpc → core/accept-client → dispatchers/dispatcher-client
 *     ways-in/grpc: Serve, Dispatch → mesh/create-site → core/run-method → core/answer-event, or another site
 *     ways-in/http: Prefer: respond-async → core/accept-event; GET /requests → later/fetch-answer ─▶ a store
 *     ways-in/http: Idempotency-Key → idempotency/create-idempotency → stored-idempotency-store ─▶ a store
 *     a dispatcher ─▶ POST /dispatch (internal port) → replies/post-replies → inbox
 *     a dispatcher ─▶ POST /push (internal port) → later/watches → clients/sessions, later/await-answer
 */

import { drainHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { keyPairOf } from '@waybill/common/http/tls.ts';
import { instanceId } from '@waybill/common/instance.ts';
import { createCallStore } from '@waybill/common/internal-call/call-store.ts';
import { callbackAddress, KEPT } from '@waybill/common/internal-call/callback-address.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { createInternalApp } from '@waybill/common/internal-call/internal-app.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import {
  createReplyAddresses,
  createReplyAddressVerifier,
} from '@waybill/common/internal-call/reply-address.ts';
import { warnOfFewOpenFiles } from '@waybill/common/process/open-files.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { CLOSE_MS, DRAIN_MS } from '@waybill/common/shutdown-bounds.ts';
import { parked as parkedGauge } from '@waybill/common/telemetry/metrics.ts';
import { createAdmit } from './admission/admission.ts';
import { createVerifyToken } from './admission/json-web-tokens.ts';
import { isPublicType, labelOfType, mayBePublic } from './admission/public-types.ts';
import { createTickets } from './admission/tickets.ts';
import { createClients } from './clients/create-clients.ts';
import { createSendToSlot } from './clients/send-to-slot.ts';
import { createUnstoredSessions } from './clients/unstored-sessions.ts';
import { loadPublicWebConfig, readTypeDescriptions } from './config.ts';
import { createAcceptClient } from './core/accept-client.ts';
import { createAccount } from './core/account.ts';
import { createAnswerEvent } from './core/answer-event.ts';
import { createAsk } from './core/ask.ts';
import { createExpectedWait } from './core/expected-wait.ts';
import { createKnownTroubles } from './core/known-troubles.ts';
import { createRecentEvents } from './core/recent-events.ts';
import { createSendConfirmed } from './core/send-confirmed.ts';
import { createDispatcherClient } from './dispatchers/dispatcher-client.ts';
import { sendInOrder } from './dispatchers/send-in-order.ts';
import { sendUntilTaken } from './dispatchers/send-until-taken.ts';
import { createIdempotency } from './idempotency/create-idempotency.ts';
import { createMemoryIdempotencyStore } from './idempotency/idempotency-store.ts';
import { createStoredIdempotencyStore } from './idempotency/stored-idempotency-store.ts';
import { createLater } from './later/create-later.ts';
import { createLateRequests } from './later/late-requests.ts';
import { createAskStore } from './later/store-client.ts';
import { createPostPushes, createWatches } from './later/watches.ts';
import { createSite, joinMesh } from './mesh/create-site.ts';
import { createHeldReplies } from './replies/held-replies.ts';
import { createInbox } from './replies/inbox.ts';
import { createParkedRequests } from './replies/parked-requests.ts';
import { createPostReplies } from './replies/post-replies.ts';
import { createClientAddress } from './ways-in/client-address.ts';
import { NIMBUS } from './ways-in/grpc/nimbus-events.ts';
import { openGrpc } from './ways-in/grpc/open-grpc.ts';
import { publicDescriptions } from './ways-in/http/describe-types.ts';
import { openHttp } from './ways-in/http/open-http.ts';

/** Events of gRPC streams that are under way at once: four times what the rate of one instance needs, so that none waits long. */
const MAX_STREAMED = 1_000;

await runService(loadPublicWebConfig, async ({ config, log, isStopping }) => {
  const { MAX_CONNECTIONS, GRPC_MAX_CONNECTIONS } = config;
  warnOfFewOpenFiles(log, { MAX_CONNECTIONS, GRPC_MAX_CONNECTIONS });
  const keys = deriveInternalKeys(config.INTERNAL_SECRETS);
  const named = [...config.PUBLIC_EVENT_TYPES, ...Object.keys(config.TYPE_DESCRIPTIONS)];
  // Nobody but its developer sends to it, and reads its traces.
  const labelOf = (type: string) => (config.DEVELOPMENT ? type : labelOfType(type, named));
  const isPublic = (type: string) => isPublicType(type, config.PUBLIC_EVENT_TYPES);
  const tls = keyPairOf(config);

  const clock = createClockCheck();
  const held = createHeldReplies();
  const inbox = createInbox();
  const parked = createParkedRequests({ inbox, maxParked: config.MAX_PARKED, heldBytes: held.bytes });
  parkedGauge.addCallback((result) => result.observe(parked.size()));

  const store = config.STORE_URLS && createCallStore({ urls: config.STORE_URLS, keys: keys.call, clock });
  const late =
    store && createLateRequests({ windowMs: 2 * config.DEADLINE_MS, maxEntries: config.MAX_PARKED });
  const watches = createWatches();
  const internalApp = createInternalApp({
    log,
    tls,
    keys: keys.call,
    clock,
    routes: {
      '/dispatch': createPostReplies({
        inbox,
        late,
        held,
        replyAddresses: createReplyAddressVerifier({ keys: keys.replyAddress }),
        instance: instanceId,
        onReached: () => troubles.reached(),
      }),
      '/push': createPostPushes({ watches, instance: instanceId }),
    },
  });
  const boundUrl = await internalApp.listen({ host: config.INTERNAL_HOST, port: config.INTERNAL_PORT });
  const internalUrl = config.INTERNAL_URL ?? boundUrl;

  const address = callbackAddress(`${internalUrl}/dispatch`, instanceId);
  const signing = { keys: keys.replyAddress, maxDeadlineMs: config.DEADLINE_MS };
  const replyAddresses = createReplyAddresses({ address, ...signing });
  const keptReplyAddresses = createReplyAddresses({ address: { ...address, ...KEPT }, ...signing });
  const dispatchers = await createDispatcherClient({
    urls: config.DISPATCHER_URLS,
    keys: keys.call,
    clock,
    maxQueued: config.MAX_PARKED,
    maxEventBytes: config.MAX_EVENT_BYTES,
    log,
  });
  const troubles = createKnownTroubles({
    ask: dispatchers.askTroubles,
    replyAddress: replyAddresses.current,
    publicTypes: config.PUBLIC_EVENT_TYPES,
    isPublicType: isPublic,
    log,
  });
  const draining = new AbortController();
  const closing = new AbortController();
  void troubles.watch(closing.signal);
  const readiness = () => (isStopping() ? 'stopping' : (clock.readiness() ?? troubles.readiness()));
  const recent = config.DEVELOPMENT ? createRecentEvents() : undefined;
  const account = recent ? recent.kept(createAccount({ log })) : createAccount({ log });
  const sendConfirmed = createSendConfirmed({ inbox, dispatchers });
  const acceptClient = createAcceptClient({
    account,
    parked,
    sendConfirmed,
    publicKey: config.CREDENTIALS_PUBLIC_KEY,
    allowedBrokers: config.CLIENT_BROKERS,
    deadlineMs: config.DEADLINE_MS,
  });
  const asking = {
    parked,
    dispatchers: sendInOrder(dispatchers),
    currentReplyAddress: replyAddresses.current,
  };
  const askOptions = {
    ...asking,
    expectedWait: createExpectedWait(),
    isPublicType: isPublic,
    labelOf,
    troubles,
    late: late && {
      ...late,
      moreMs: config.DEADLINE_MS,
      currentReplyAddress: keptReplyAddresses.current,
    },
  };
  const ask = createAsk(askOptions);
  const ofThoseWhoStay = { dispatchers: sendInOrder(sendUntilTaken(dispatchers)) };
  const askStore = store && createAskStore({ store, log });
  const site = createSite({ config, asking, askStore, account, log });
  const atStore = askStore && {
    askStore,
    watches,
    holder: { instance: instanceId, url: `${internalUrl}/push` },
    currentReplyAddress: createReplyAddresses({
      address: { kind: 'mailbox' },
      keys: keys.replyAddress,
      maxDeadlineMs: config.ACCEPTED_DEADLINE_MS,
    }).current,
    isPublicType: isPublic,
    labelOf,
    account,
    deadlineMs: config.DEADLINE_MS,
    stopping: draining.signal,
  };
  const clients =
    atStore &&
    createClients({
      ...atStore,
      store,
      sendToSlot: createSendToSlot({ ...atStore, ...ofThoseWhoStay }),
      maxSessions: config.MAX_SESSIONS,
    });
  const later =
    atStore &&
    createLater({
      ...atStore,
      keys: keys.location,
      maxWaiting: config.MAX_PARKED,
      parked,
      sendConfirmed,
      acceptedDeadlineMs: config.ACCEPTED_DEADLINE_MS,
    });
  const clientAddress = createClientAddress(config.TRUSTED_PROXIES);
  const { JWT_JWKS_URL: jwksUrl, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = config;
  if (jwksUrl?.startsWith('http:'))
    log.warn('JWT_JWKS_URL is not https: whoever can change what comes from there can pass for any client');
  const verifyToken =
    jwksUrl && issuer && audience ? createVerifyToken({ jwksUrl, issuer, audience }) : undefined;
  const admit = createAdmit({
    apiKeys: config.API_KEYS,
    addressRate: config.RATE_LIMIT,
    subjectRate: verifyToken && config.JWT_RATE_LIMIT,
  });
  const answerEvent = createAnswerEvent({ ask, account, labelOf });
  const http = await openHttp({
    host: config.HOST,
    port: config.PORT,
    log,
    admit,
    clientAddress,
    verifyToken,
    acceptClient,
    held,
    later,
    clients,
    answerEvent,
    types: () =>
      publicDescriptions(
        config.DEVELOPMENT ? readTypeDescriptions() : config.TYPE_DESCRIPTIONS,
        config.PUBLIC_EVENT_TYPES,
      ),
    recent,
    idempotency: createIdempotency({
      store: askStore
        ? createStoredIdempotencyStore({ askStore, windowMs: config.IDEMPOTENCY_WINDOW_MS })
        : createMemoryIdempotencyStore({
            windowMs: config.IDEMPOTENCY_WINDOW_MS,
            maxKeys: config.IDEMPOTENCY_MAX_KEYS,
          }),
      deadlineMs: config.DEADLINE_MS,
      maxJoined: config.MAX_PARKED,
      stopping: draining.signal,
    }),
    deadlineMs: config.DEADLINE_MS,
    readiness,
    maxConnections: config.MAX_CONNECTIONS,
    tickets: createTickets({ keys: keys.ticket }),
    allowedOrigins: config.ALLOWED_ORIGINS,
    // A page that rebinds a name has no API key, nor a token.
    allowedHosts: config.ALLOWED_HOSTS ?? (config.API_KEYS || verifyToken ? ['*'] : []),
    maxEventLoopDelayMs: config.MAX_EVENT_LOOP_DELAY_MS,
    maxEventBytes: config.MAX_EVENT_BYTES,
    tls,
  });
  const createStreamSessions = () =>
    createUnstoredSessions({
      answerEvent: createAnswerEvent({
        ask: createAsk({ ...askOptions, ...ofThoseWhoStay }),
        account,
        labelOf,
      }),
      deadlineMs: config.DEADLINE_MS,
    });
  const streams = mayBePublic(NIMBUS, config.PUBLIC_EVENT_TYPES)
    ? {
        sessions: clients?.sessions ?? createStreamSessions(),
        maxStreams: config.GRPC_MAX_STREAMS,
        maxUnderWay: Math.min(config.MAX_PARKED, MAX_STREAMED),
      }
    : undefined;
  const grpc =
    (config.CREDENTIALS_PUBLIC_KEY || site || streams) &&
    (await openGrpc({
      admit,
      verifyToken,
      clientAddress,
      acceptClient: config.CREDENTIALS_PUBLIC_KEY && acceptClient,
      site,
      meshPeers: config.MESH_PEERS,
      streams,
      deadlineMs: config.DEADLINE_MS,
      maxEventBytes: config.MAX_EVENT_BYTES,
      clientCa: config.GRPC_CLIENT_CA,
      readiness,
      log,
      host: config.HOST,
      port: config.GRPC_PORT,
      maxConnections: config.GRPC_MAX_CONNECTIONS,
      tls,
    }));
  const waysIn = grpc ? [http, grpc] : [http];
  if (site) void joinMesh(site, { peers: config.MESH_PEERS, signal: closing.signal, log });

  return {
    ports: { port: http.port, internalPort: portOf(internalApp), grpcPort: grpc?.port },
    readiness,
    facts: () => ({ parked: parked.size(), sessions: clients?.sessions.size() }),
    // Replies still arrive while the parked requests drain, so the internal port closes after them.
    drain() {
      draining.abort();
      // Before connections are cut off, so that whoever waits longer is still told the outcome.
      setTimeout(inbox.shut, DRAIN_MS - CLOSE_MS).unref();
      return Promise.all([
        clients?.sessions.drain(),
        site?.shutdown(),
        ...waysIn.map(({ drain }) => drain()),
        inbox.drained(),
      ]);
    },
    close() {
      closing.abort();
      return Promise.all([
        ...waysIn.map(({ close }) => close()),
        drainHttpServer(internalApp, { deadlineMs: CLOSE_MS }),
        dispatchers.close(),
        store?.close(),
      ]);
    },
  };
});
