/** What public-web asks of a store. */
import { AppError, type ErrorCode } from '@waybill/common/errors.ts';
import { parseForwardedJson } from '@waybill/common/event/event-json.ts';
import type { CallStore } from '@waybill/common/internal-call/call-store.ts';
import type { StoreCall } from '@waybill/common/internal-call/store-calls.ts';
import { fromProblem, type Problem } from '@waybill/common/problem.ts';
import { createOutage } from '@waybill/common/telemetry/outage.ts';
import type { Logger } from 'pino';

/**
 * Makes a call, and resolves with what `store-calls.ts` says is answered.
 *
 * @throws AppError what the store has against the call itself (`not-found`, `mailbox-full`, `keys-full`, `too-large`, `invalid-request`),
 *   or `not-accepted` when it does not answer.
 */
export type AskStore = <Answer>(call: StoreCall) => Promise<Answer>;

/** What says something of the call, and so may be told to a client. */
const OF_THE_CALL: readonly unknown[] = [
  'not-found',
  'mailbox-full',
  'keys-full',
  'too-large',
  'invalid-request',
] satisfies ErrorCode[];

/** Creates {@link AskStore}; that no store answers is logged when it begins. */
export function createAskStore({ store, log }: { store: Pick<CallStore, 'call'>; log: Logger }): AskStore {
  const tell = createOutage<string>({
    onBegun: (reason) => log.warn({ reason }, 'no store answers'),
    onOver: () => log.info('a store answers again'),
  });

  return async (call) => {
    const body = Buffer.from(JSON.stringify(call));
    const parse = (text: string) => parseForwardedJson(Buffer.from(text));
    const answer = await store.call({ path: '/calls', body, parse, contentType: 'application/json' });
    if (answer.kind === 'refused' && OF_THE_CALL.includes(answer.problem.code)) {
      tell(undefined);
      throw fromProblem(answer.problem as Problem, 'unexpected');
    }
    tell(answer.kind === 'answered' ? undefined : reasonOf(answer));
    if (answer.kind !== 'answered') throw new AppError('not-accepted', 'no store answers now');
    // It is the answer to this very call.
    return answer.answer as never;
  };
}

function reasonOf(answer: { kind: 'failed'; error: Error } | { kind: 'refused'; status: number }): string {
  return answer.kind === 'failed' ? answer.error.message : `it answered ${answer.status}`;
}
