/**
 * The life of a process: settings, a logger, its start, health on a port of its own, readiness, and the way to its end.
 * A `main.ts` says what is particular to its service, as one function, and nothing of the rest.
 *
 *     settings → log → signals → start → health port → `listening`
 *     SIGTERM or SIGINT → not ready → (pause) → started → drain → close, health port, telemetry → logs → exit
 */
import type { FastifyInstance } from 'fastify';
import type { Level, Logger } from 'pino';
import { settingDoubts } from '../config.ts';
import { AppError } from '../errors.ts';
import { createHealthApp } from '../http/health-app.ts';
import { drainHttpServer, portOf, type Readiness } from '../http/http-server.ts';
import { identity, instanceId, serviceName } from '../instance.ts';
import { CLOSE_MS, FINISH_MS } from '../shutdown-bounds.ts';
import { createLogger, flushLogs } from '../telemetry/logging.ts';
import { shutdownTelemetry } from '../telemetry/shutdown-telemetry.ts';
import { type ShutdownStep, shutdownOnSignal } from './shutdown.ts';

/** The settings that the life of a process depends on. */
export type ServiceConfig = {
  LOG_LEVEL: Level;
  /** Where the health port is; a service without one answers for its health on a port of its own. */
  HOST?: string;
  HEALTH_PORT?: number;
  /** How long all goes on as before after a signal, not ready any more (default 0). */
  SHUTDOWN_PAUSE_MS?: number;
};

/** What a service is started with. */
export type ServiceContext<Config> = {
  config: Config;
  log: Logger;
  /** Whether the process was told to stop. */
  isStopping(): boolean;
};

/** A service that has been started. */
export type RunningService = {
  /** The ports it listens on, by name, for the line `listening`; the health port is added. */
  ports?: Record<string, number | undefined>;
  /** Why it is not ready, besides that it stops. Default: it is. */
  readiness?: Readiness;
  /** What it tells of itself at its health port, for `bin/status.mjs`: small, and no secret. */
  facts?(): Record<string, unknown>;
  /** What it says of the data of the types that it answers, at `/types` of its health port; default: there is no such route. */
  describe?(): object;
  /** Takes no more work, and ends what is under way or gives it back, in at most 5.5 s (`DRAIN_MS`, and half a second). */
  drain(): Promise<unknown>;
  /** Closes what is still open after that. What takes longer than `FINISH_MS` is left to end with the process. */
  close?(): Promise<unknown>;
};

/**
 * Runs a service as this process, until a signal ends it. Resolves when it listens. A signal that comes before that lets it
 * start, and then ends it in the same way.
 *
 * A start that fails ends the process with code 1. What the operator can mend (settings, a taken port) is then told in
 * one message without a stack trace; everything else with one.
 *
 * @example
 * await runService(loadGreeterConfig, async ({ config, log }) => {
 *   const app = createGreeterApp({ log });
 *   await app.listen({ host: config.HOST, port: config.PORT });
 *   return { ports: { port: portOf(app) }, drain: () => drainHttpServer(app) };
 * });
 */
export async function runService<Config extends ServiceConfig>(
  loadConfig: () => Config,
  start: (context: ServiceContext<Config>) => Promise<RunningService>,
): Promise<void> {
  try {
    const config = loadConfig();
    const log = createLogger({ service: serviceName(), level: config.LOG_LEVEL });
    for (const doubt of settingDoubts(config)) log.warn(doubt);
    let isStopping = false;
    const starting = bringUp(config, { log, isStopping: () => isStopping }, start);
    // Before it has started: part of it may have work by then.
    shutdownOnSignal({
      log,
      pauseMs: config.SHUTDOWN_PAUSE_MS,
      onSignal: () => {
        isStopping = true;
      },
      steps: stepsOf(starting),
    });
    await starting;
  } catch (error) {
    console.error(explain(error));
    process.exit(1);
  }
}

type Up = { service: RunningService; health: FastifyInstance | undefined };

async function bringUp<Config extends ServiceConfig>(
  config: Config,
  { log, isStopping }: Omit<ServiceContext<Config>, 'config'>,
  start: (context: ServiceContext<Config>) => Promise<RunningService>,
): Promise<Up> {
  const service = await start({ config, log, isStopping });
  const readiness = () => (isStopping() ? 'stopping' : service.readiness?.());
  const facts = () => ({ ...identity(), ...service.facts?.() });
  const health = await listenForHealth(config, { log, readiness, facts, describe: service.describe });
  const healthPort = health && portOf(health);
  log.info({ ...service.ports, healthPort, instance: instanceId }, 'listening');
  return { service, health };
}

async function listenForHealth(
  { HOST, HEALTH_PORT }: ServiceConfig,
  options: Parameters<typeof createHealthApp>[0],
): Promise<FastifyInstance | undefined> {
  if (HEALTH_PORT === undefined) return undefined;
  const app = createHealthApp(options);
  await app.listen({ host: HOST, port: HEALTH_PORT });
  return app;
}

function stepsOf(starting: Promise<Up>): ShutdownStep[] {
  return [
    { name: 'start', run: () => starting },
    { name: 'drain', run: async () => (await starting).service.drain() },
    {
      name: 'close',
      maxMs: FINISH_MS,
      async run() {
        const { service, health } = await starting;
        await Promise.all([
          service.close?.(),
          health && drainHttpServer(health, { idleMs: 0, deadlineMs: CLOSE_MS }),
          shutdownTelemetry(),
        ]);
      },
    },
    { name: 'logs', run: flushLogs },
  ];
}

function explain(error: unknown): string {
  if (error instanceof AppError && error.code === 'invalid-config') return error.message;
  const { code, port, address } = (error ?? {}) as { code?: string; port?: number; address?: string };
  if (code === 'EADDRINUSE')
    return `port ${port} on ${address} is taken: stop what uses it, or set another port`;
  if (code === 'EACCES' && port !== undefined)
    return `port ${port} on ${address} is not allowed for this user`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
