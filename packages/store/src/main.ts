/**
 * store: keeps what waits for clients, and is the only process that has a database. RabbitMQ carries work, a store keeps
 * positions.
 *
 *     dispatcher ─▶ POST /append → take-replies → mailboxes, answers ─▶ database (sqlite, postgresql)
 *     public-web ─▶ POST /calls → answer-call → the same, key-steps → kept-values, mesh-connections ↗
 *     a listener ─▶ POST /results → answer-result → kept-values ↗
 */
import { setTimeout } from 'node:timers/promises';
import { backOff } from '@waybill/common/back-off.ts';
import { AppError } from '@waybill/common/errors.ts';
import { drainHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { keyPairOf } from '@waybill/common/http/tls.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { createInternalApp } from '@waybill/common/internal-call/internal-app.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { RESULTS_PATH } from '@waybill/common/internal-call/store-calls.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { createOutage } from '@waybill/common/telemetry/outage.ts';
import { createAnswerCall } from './answer-call.ts';
import { createAnswerResult } from './answer-result.ts';
import { createAnswers } from './answers.ts';
import { loadStoreConfig } from './config.ts';
import { createKeptValues } from './create-kept-values.ts';
import { createMailboxes } from './create-mailboxes.ts';
import { createKeptRoom } from './kept-room.ts';
import { createTakeKeySteps } from './key-steps.ts';
import { createMeshConnections } from './mesh-connections.ts';
import { migrate } from './migrations.ts';
import { openDatabase } from './open-database.ts';
import { createTakeReplies } from './take-replies.ts';

/** Between two looks for what is too old. */
const FORGET_EVERY_MS = 60_000;
/** Between two counts of what several stores keep at one database; and at least ten times as long as one has taken. */
const COUNT_EVERY_MS = 5_000;
const COUNT_SELDOM = 10;
/** Between two tries to reach a database that is not there yet. */
const REACH_AGAIN = { baseMs: 500, capMs: 2_000 };

await runService(loadStoreConfig, async ({ config, log, isStopping }) => {
  const clock = createClockCheck();
  const { database, readiness } = openDatabase(config.DATABASE_URL, log);
  const tellFull = createOutage<string>({
    onBegun: (owner) => log.warn({ owner }, 'there is no room for more values under keys'),
    onOver: () => log.info('there is room for values under keys again'),
  });
  const room = createKeptRoom({
    maxBytes: config.KEPT_VALUES_MAX_BYTES,
    maxOwnerBytes: config.KEPT_VALUES_MAX_OWNER_BYTES,
    onRefused: tellFull,
  });
  const values = createKeptValues({ database, room });
  let isMigrated = false;
  const migrated = migrateOnceReached().catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
  if (config.DATABASE_URL.startsWith('sqlite:')) await migrated;

  async function migrateOnceReached(): Promise<void> {
    for (let failures = 1; ; failures += 1)
      try {
        await migrate(database);
        await values.count();
        isMigrated = true;
        return;
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'not-accepted') throw error;
        await backOff(failures, REACH_AGAIN);
      }
  }

  const mailboxes = createMailboxes({ database, retentionMs: config.RETENTION_MS });
  const answers = createAnswers({ database, retentionMs: config.RETENTION_MS });
  forgetRegularly();
  // Nobody else adds to a database whose transactions come one after the other.
  if (database.seenWithinMs > 0) countRegularly();

  async function countRegularly(): Promise<void> {
    for (let tookMs = 0; !isStopping(); ) {
      await setTimeout(Math.max(COUNT_EVERY_MS, COUNT_SELDOM * tookMs), undefined, { ref: false });
      const startedMs = performance.now();
      await values.count().catch(() => {});
      tookMs = performance.now() - startedMs;
    }
  }

  async function forgetRegularly(): Promise<void> {
    while (!isStopping()) {
      await setTimeout(FORGET_EVERY_MS, undefined, { ref: false });
      try {
        const forgotten = {
          ...(await mailboxes.forgetOld(isStopping)),
          answers: await answers.forgetOld(isStopping),
          values: await values.forgetOld(isStopping),
        };
        log.debug(forgotten, 'forgot what was too old');
      } catch {
        // Told where it failed; the next time is soon enough.
      }
    }
  }

  const connections = createMeshConnections({ database });
  const takeKeySteps = createTakeKeySteps({ values });
  const app = createInternalApp({
    log,
    tls: keyPairOf(config),
    keys: deriveInternalKeys(config.INTERNAL_SECRETS).call,
    clock,
    routes: {
      '/append': createTakeReplies({ mailboxes, answers }),
      '/calls': createAnswerCall({ mailboxes, answers, takeKeySteps, connections }),
      ...(config.RESULTS_SECRETS && {
        [RESULTS_PATH]: {
          keys: deriveInternalKeys(config.RESULTS_SECRETS).call,
          handle: createAnswerResult({ values }),
        },
      }),
    },
  });
  await app.listen({ host: config.HOST, port: config.PORT });

  return {
    ports: { port: portOf(app) },
    readiness: () =>
      isMigrated ? (readiness() ?? clock.readiness()) : 'the database has not been reached yet',
    drain: () => drainHttpServer(app),
    close: () => database.close(),
  };
});
