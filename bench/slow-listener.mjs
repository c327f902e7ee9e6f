/** A listener whose handler takes LISTENER_MS. */
import { setTimeout as delay } from 'node:timers/promises';
import { createListener } from '@waybill/listener/create-listener.ts';

const LISTENER_MS = Number(process.env.LISTENER_MS);

await createListener({
  service: 'slow',
  handlers: {
    SlowRequest: async () => {
      if (LISTENER_MS > 0) await delay(LISTENER_MS);
      return { reply: { type: 'SlowResponse', data: null } };
    },
  },
});
