import { backOff } from '@waybill/common/back-off.ts';
import { expiryMs } from '@waybill/common/event/event.ts';
import type { DispatcherClient, SendOutcome } from './dispatcher-client.ts';

/** Between two tries, where nothing was sent. */
const NOT_TAKEN = { baseMs: 100, capMs: 1_000 };
/** Where it may have been: each try that was taken after all is one more copy in the broker. */
const UNKNOWN = { baseMs: 1_000, capMs: 4_000 };

/**
 * As `dispatchers`, but an event that no dispatcher takes now is sent again until one does or it has expired, and so is one of which
 * nobody knows: for clients that stay. They have other events behind it, and need not do by themselves what HTTP tells clients
 * to do, which is to send it again under the same id. Its result is told once, however often it runs. Of one that may have been taken
 * before, a later refusal says nothing: nobody knows of it still.
 */
export function sendUntilTaken({ send }: Pick<DispatcherClient, 'send'>): Pick<DispatcherClient, 'send'> {
  return {
    async send(event, isCancelled) {
      let doubt: SendOutcome;
      for (let failures = 1; ; failures += 1) {
        const outcome = await send(event, isCancelled);
        if (outcome?.code === 'outcome-unknown') doubt = outcome;
        const pause = pauseAfter(outcome);
        if (!pause || Date.now() + pause.capMs > expiryMs(event)) return outcome && (doubt ?? outcome);
        await backOff(failures, pause);
      }
    },
  };
}

function pauseAfter(outcome: SendOutcome): typeof UNKNOWN | undefined {
  if (outcome?.code === 'not-accepted') return NOT_TAKEN;
  return outcome?.code === 'outcome-unknown' ? UNKNOWN : undefined;
}
