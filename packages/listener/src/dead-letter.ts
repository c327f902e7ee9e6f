import type { DeadLetterReason } from '@waybill/common/broker/dead-letter.ts';
import { originalOf } from './delivered-event.ts';
import { describeError } from './describe-error.ts';
import type { GiveUp } from './give-up.ts';
import { TerminalError } from './handler.ts';
import { TooManyHopsError } from './hops.ts';
import { NoHandlerError } from './no-handler.ts';
import type { Remedy } from './step.ts';

/** Gives up an event that has failed for good: it is dead-lettered as it came, and the client that waits for it is told 502. */
export function createDeadLetter({ giveUp }: { giveUp: GiveUp }): Remedy {
  return async ({ failure }, _event, { delivered, attempt, log }) => {
    log.warn({ attempt, err: failure }, 'event failed and is given up');
    const [reason, error] = [reasonOf(failure), describeError(failure)];
    // Only a TerminalError's message was written for a client's eyes.
    const detail = failure instanceof TerminalError ? String(failure.message) : undefined;
    await giveUp(originalOf(delivered), delivered.delivery, { reason, error, detail });
    return { name: reason, error };
  };
}

function reasonOf(failure: Error): DeadLetterReason {
  if (failure instanceof NoHandlerError) return 'no-handler';
  return failure instanceof TooManyHopsError ? 'too-many-hops' : 'handler-failed';
}
