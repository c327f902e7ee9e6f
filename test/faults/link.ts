import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Fault, startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';

/** A way from one process to another, through a proxy whose port stays the same. */
export type Link = {
  name: string;
  /** `url` with the proxy in place of its host and port. */
  through(url: string): string;
  setFault(fault: Fault): void;
  /**
   * Ends the fault. Connections that bytes were dropped from are reset with it: no network goes on in the middle of a
   * stream that it has lost parts of.
   */
  heal(): void;
  reset(): void;
  /** Refuses connections, as the port of a process that is gone does. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
};

/** Opens a link to the host and port of `target`. */
export async function openLink(name: string, target: string): Promise<Link> {
  // One that the system gives to nobody while the link is down.
  let proxy: TcpProxy | undefined = await startTcpProxy({ target, port: await freePort() });
  const { port, through } = proxy;
  let fault: Fault = {};

  async function down(): Promise<void> {
    const closing = proxy;
    proxy = undefined;
    await closing?.close();
  }

  return {
    name,
    through,
    setFault(wanted) {
      fault = wanted;
      proxy?.setFault(fault);
    },
    heal() {
      const hasDropped = fault.drop !== undefined;
      fault = {};
      proxy?.setFault(fault);
      if (hasDropped) proxy?.reset();
    },
    reset: () => proxy?.reset(),
    down,
    async up() {
      proxy ??= await startTcpProxy({ target, port });
      proxy.setFault(fault);
    },
    close: down,
  };
}
