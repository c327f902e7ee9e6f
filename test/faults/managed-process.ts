import type { Service } from '@waybill/test-harness/service.ts';
import type { Link } from './link.ts';

/** A process of the system that is ended and started again at the same address. */
export type ManagedProcess = {
  name: string;
  /** The present process, which may have ended. */
  readonly service: Service;
  /** Every process there was, the present one included. */
  services: Service[];
  /** Ends of which nobody was told to bring them about, and those asked for that did not exit 0; grows. */
  wrongExits: string[];
  start(): Promise<void>;
  /** SIGKILL; from then on its address refuses connections. */
  kill(): Promise<void>;
  /** SIGTERM; resolves when it has ended. */
  terminate(): Promise<void>;
};

/**
 * Starts a process by `startService`.
 *
 * @param linksTo the links that lead to it; they refuse connections while it is dead.
 */
export async function manageProcess(options: {
  name: string;
  linksTo: Link[];
  startService(): Promise<Service>;
}): Promise<ManagedProcess> {
  const { name, linksTo, startService } = options;
  const services: Service[] = [];
  const wrongExits: string[] = [];
  const expected = new WeakSet<Service>();
  let service: Service;

  async function start(): Promise<void> {
    const started = await startService();
    service = started;
    services.push(started);
    await Promise.all(linksTo.map((link) => link.up()));
    void started.exited.then((exit) => {
      if (!expected.has(started))
        wrongExits.push(`${name} (process ${started.pid}) ended by itself: ${JSON.stringify(exit)}`);
    });
  }

  await start();
  return {
    name,
    get service() {
      return service;
    },
    services,
    wrongExits,
    start,
    async kill() {
      expected.add(service);
      service.kill('SIGKILL');
      await Promise.all([service.exited, ...linksTo.map((link) => link.down())]);
    },
    async terminate() {
      expected.add(service);
      const { pid } = service;
      try {
        const exit = await service.stop('SIGTERM');
        if (exit.code !== 0)
          wrongExits.push(`${name} (process ${pid}) did not exit 0 after SIGTERM: ${JSON.stringify(exit)}`);
      } catch (error) {
        wrongExits.push((error as Error).message);
      }
    },
  };
}
