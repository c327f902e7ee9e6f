/** The program that `run-service.test.ts` runs: one way a start can go per argument. */
import { createServer } from 'node:net';
import { count, loadConfig, str } from '../config.ts';
import { AppError } from '../errors.ts';
import { runService } from './run-service.ts';

const starts: Record<string, () => Promise<void>> = {
  well: async () => console.log('started'),
  'with wrong settings': async () => {
    loadConfig({ A: str(), B: count() }, { B: 'x' });
  },
  'on a taken port': async () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    createServer().on('error', reject).listen(Number(process.env.TAKEN_PORT), '127.0.0.1', resolve);
    await promise;
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
};

await runService(async () => {
  // What a failed start has opened must not keep the process alive.
  if (process.argv[2] !== 'well') setInterval(() => {}, 60_000);
  await starts[process.argv[2] ?? '']?.();
});
