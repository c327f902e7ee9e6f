/** The program that `shutdown.test.ts` runs and signals: one way a shutdown can go per argument. */
import { pino } from 'pino';
import { type ShutdownStep, shutdownOnSignal } from './shutdown.ts';

const log = pino({ base: null, level: 'debug' }, pino.destination({ fd: 1, sync: true }));
const keepAlive = setInterval(() => {}, 60_000);
const step = (name: string, run: () => unknown): ShutdownStep => ({ name, run });

/** Until SIGUSR2. Nothing of it keeps the process alive. */
const toldToGoOn = () => new Promise<void>((resolve) => process.once('SIGUSR2', resolve));
const never = () => new Promise(() => {});
const fail = () => {
  throw new Error('no luck');
};

const modes: Record<string, { steps: ShutdownStep[]; pauseMs?: number; deadlineMs?: number }> = {
  pauses: { steps: [step('one', () => {})], pauseMs: 500 },
  'in order': {
    steps: [
      step('one', () => new Promise((resolve) => setImmediate(() => resolve(log.info('one is done'))))),
      step('two', () => log.info('two is done')),
    ],
  },
  waits: { steps: [step('one', toldToGoOn), step('two', () => {})] },
  hangs: { steps: [step('one', never), step('two', () => {})], deadlineMs: 50 },
  'hangs past its bound': {
    steps: [{ ...step('one', never), maxMs: 50 }, step('two', () => log.info('two is done'))],
  },
  'hangs busily': {
    steps: [step('one', () => new Promise(() => setInterval(() => {}, 1))), step('two', () => {})],
    deadlineMs: 50,
  },
  'fails at once': { steps: [step('one', fail), step('two', () => {})] },
  'fails later': { steps: [step('one', async () => fail()), step('two', () => {})] },
  'crashes while stopping': { steps: [step('one', () => new Promise(() => setImmediate(fail)))] },
};

shutdownOnSignal({
  log,
  onSignal: () => {
    clearInterval(keepAlive);
    log.info('readiness is off');
    if (process.argv[2] === 'pauses') setTimeout(() => log.info('still serving'), 100);
  },
  ...(modes[process.argv[2] ?? ''] ?? { steps: [step('one', () => {})] }),
});
// After the shutdown's own listeners, so that they have seen the signal when this is logged.
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => log.info({ signal }, 'signalled'));
if (process.argv[2] === 'throws') setImmediate(fail);
if (process.argv[2] === 'rejects') void Promise.reject(new Error('no luck'));
log.info('listening');
