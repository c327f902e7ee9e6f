/** The program that `run-service.test.ts` runs: one way a start, or a life, can go per argument. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { count, loadConfig, logLevel, port, str } from '../config.ts';
import { AppError } from '../errors.ts';
import { type RunningService, runService, type ServiceContext } from './run-service.ts';

type Start = (context: ServiceContext<object>) => Promise<RunningService>;

/** Until SIGUSR2. Nothing of it keeps the process alive. */
const toldToGoOn = () => once(process, 'SIGUSR2');
let trouble: string | undefined = 'the cache is cold';

const starts: Record<string, Start> = {
  'with wrong settings': async () => loadConfig({ A: str(), B: count() }, { B: 'x' }) as never,
  'on a taken port': async () => {
    await once(createServer().listen(Number(process.env.TAKEN_PORT), '127.0.0.1'), 'listening');
    throw new Error('the port is free');
  },
  'on a port that is not allowed': async () => {
    throw Object.assign(new Error('listen EACCES'), { code: 'EACCES', port: 80, address: '0.0.0.0' });
  },
  'on a file that is not allowed': async () => {
    throw Object.assign(new Error('open EACCES /data'), { code: 'EACCES' });
  },
  'with an AppError': async () => {
    throw new AppError('broker-unavailable', 'no broker');
  },
  'with undefined thrown': () => Promise.reject(),

  /** Drains until SIGUSR2, and tells before and after whether it is told to stop. */
  well: async ({ log, isStopping }) => ({
    ports: { port: 1234 },
    async drain() {
      log.info({ isStopping: isStopping() }, 'draining');
      await toldToGoOn();
    },
    close: async () => log.info('closing'),
  }),
  'with trouble until SIGUSR2': async () => {
    void toldToGoOn().then(() => {
      trouble = undefined;
    });
    return { readiness: () => trouble, drain: async () => {} };
  },
  'when it is told to go on': async ({ log, isStopping }) => {
    const goOn = toldToGoOn();
    log.info('starting');
    await goOn;
    return { drain: async () => log.info({ isStopping: isStopping() }, 'draining') };
  },
  'that cannot drain': async ({ log }) => ({
    async drain() {
      throw new Error('no luck');
    },
    close: async () => log.info('closing'),
  }),
  'that cannot close': async () => ({ drain: async () => {}, close: () => new Promise(() => {}) }),
};

const [how = '', hasHealthPort] = process.argv.slice(2);
const health = { HOST: str({ default: '127.0.0.1' }), HEALTH_PORT: port({ default: 0 }) };
const settings = { LOG_LEVEL: logLevel(), ...(hasHealthPort === 'without-health' ? {} : health) };

await runService(
  () => loadConfig(settings),
  async (context) => {
    // What a failed start has opened must not keep the process alive.
    setInterval(() => {}, 60_000);
    return await (starts[how] as Start)(context);
  },
);
