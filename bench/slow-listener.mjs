/** A listener whose handler takes 20 ms. */
import { setTimeout as delay } from 'node:timers/promises';
import { createListener } from '@waybill/listener/create-listener.ts';

await createListener({
  service: 'slow',
  handlers: {
    SlowRequest: async () => {
      await delay(20);
      return { reply: { type: 'SlowResponse', data: null } };
    },
  },
});
