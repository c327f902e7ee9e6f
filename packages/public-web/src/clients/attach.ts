import { createBatcher } from '@waybill/common/batch.ts';
import {
  HTTP_MAX_EVENTS,
  MAX_BATCHES_IN_FLIGHT,
  MAX_PARTIAL_BATCHES_IN_FLIGHT,
} from '@waybill/common/batch-limits.ts';
import { AppError } from '@waybill/common/errors.ts';
import type {
  Attached,
  AttachingClient,
  AttachResult,
  Holder,
} from '@waybill/common/internal-call/store-calls.ts';
import { fromProblem } from '@waybill/common/problem.ts';
import type { AskStore } from '../later/store-client.ts';

/** Longest wait for a turn: clients wait for 10 s, and better come again than wait in vain. */
const MAX_WAIT_MS = 5_000;

/**
 * Attaches a client; `onAsked` is called when it is asked of a store, from when on it may be done whatever comes of this. For one that
 * `isGone` when its turn comes nothing is asked, as it may be elsewhere by then.
 *
 * @throws AppError `invalid-request` for what is no token; `not-accepted` when no store answers, or too many wait; `client-gone`.
 */
export type Attach = (
  client: AttachingClient,
  options: { onAsked(): void; isGone: (() => boolean) | undefined },
) => Promise<Attached>;

/** Creates {@link Attach}: clients that come while others are being attached are attached together, up to `maxWaiting` of them. */
export function createAttach({
  askStore,
  holder,
  deadlineMs,
  maxWaiting,
}: {
  askStore: AskStore;
  holder: Holder;
  deadlineMs: number;
  maxWaiting: number;
}): Attach {
  const batcher = createBatcher<{ client: AttachingClient; onAsked(): void }, AttachResult>({
    maxItems: HTTP_MAX_EVENTS,
    maxBytes: Number.POSITIVE_INFINITY,
    maxInFlight: () => MAX_BATCHES_IN_FLIGHT,
    maxPartialInFlight: () => MAX_PARTIAL_BATCHES_IN_FLIGHT,
    maxQueued: maxWaiting,
    maxWaitMs: MAX_WAIT_MS,
    async send(items) {
      for (const { onAsked } of items) onAsked();
      const clients = items.map(({ client }) => client);
      const call = { call: 'attach', holder, deadlineMs, clients } as const;
      return (await askStore<{ results: AttachResult[] }>(call)).results;
    },
  });

  return async (client, { onAsked, isGone }) => {
    const result = await batcher.add({ client, onAsked }, 0, isGone);
    if (!result && isGone?.()) throw new AppError('client-gone', 'the client has gone');
    if (!result) throw new AppError('not-accepted', 'no store has attached the client');
    if ('problem' in result) throw fromProblem(result.problem, 'unexpected');
    return result;
  };
}
