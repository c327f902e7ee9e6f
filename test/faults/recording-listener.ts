/**
 * A ping-listener that writes down, in the file named by its argument, the id and time of each event it starts to
 * handle, and the number in its data: synchronously and first, so that the file knows what ran even if the process is killed in the same moment.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { runListener } from '@waybill/listener';

const file = String(process.argv[2]);
/** So that faults meet handlers under way. */
const MAX_HANDLING_MS = 30;

await runListener({
  service: 'ping',
  handlers: {
    PingRequest: async ({ id, data }) => {
      const receivedAt = Date.now();
      const { sentAt } = data as { sentAt: number };
      appendFileSync(file, `${id} ${receivedAt} ${sentAt}\n`);
      await delay(Math.random() * MAX_HANDLING_MS);
      // An id that tells whose reply it is, for the dispatchers' logs.
      return { reply: { type: 'PingResponse', id: `reply-to-${id}`, data: { sentAt, receivedAt } } };
    },
  },
});
