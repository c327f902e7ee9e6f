/** ping-listener, but that its handler takes LISTENER_MS. */
import { setTimeout as delay } from 'node:timers/promises';
import { runListener } from '@waybill/listener';
import { ping } from '../packages/ping-listener/src/ping.ts';

const LISTENER_MS = Number(process.env.LISTENER_MS);

await runListener({
  service: 'ping',
  handlers: {
    PingRequest: async (event, context) => {
      if (LISTENER_MS > 0) await delay(LISTENER_MS);
      return ping(event, context);
    },
  },
});
