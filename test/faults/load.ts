import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { LoadOptions, LoadResult } from './load-worker.ts';

/** Clients that send pings until they are stopped. */
export type Load = {
  /** Sends no more; resolves with every operation when the last is done. */
  stop(): Promise<LoadResult>;
};

/** Starts clients, on a thread of their own. */
export function startLoad(workerData: LoadOptions): Load {
  const worker = new Worker(new URL('./load-worker.ts', import.meta.url), { workerData });
  const failed = once(worker, 'error').then(([error]) => {
    throw error;
  });
  failed.catch(() => {});
  return {
    async stop() {
      const posted = once(worker, 'message');
      worker.postMessage('stop');
      const [result] = await Promise.race([posted, failed]);
      await worker.terminate();
      return result as LoadResult;
    },
  };
}
