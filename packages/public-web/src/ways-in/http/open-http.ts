import { drainHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { cutOff } from '@waybill/common/http/open-sockets.ts';
import type { WayIn } from '../way-in.ts';
import { createPublicApp, type PublicAppOptions } from './app.ts';

/** Opens the public HTTP port. */
export async function openHttp({
  host,
  port,
  ...options
}: PublicAppOptions & { host: string; port: number }): Promise<WayIn> {
  const { app, webSockets } = await createPublicApp(options);
  // Node's 511 are fewer than come at once when many clients come back; the system drops the others, and they try again a second later.
  await app.listen({ host, port, backlog: options.maxConnections });
  return {
    port: portOf(app),
    drain: () => Promise.all([drainHttpServer(app), webSockets.drain()]),
    close() {
      cutOff(app.server);
      return app.close();
    },
  };
}
