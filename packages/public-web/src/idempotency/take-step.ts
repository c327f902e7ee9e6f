/** Steps with idempotency keys on their way to the store tier: those that come together go in one call. */
import { createBatcher } from '@waybill/common/batch.ts';
import {
  HTTP_MAX_EVENTS,
  MAX_BATCH_BYTES,
  MAX_BATCHES_IN_FLIGHT,
  MAX_PARTIAL_BATCHES_IN_FLIGHT,
} from '@waybill/common/batch-limits.ts';
import { AppError, toAppError } from '@waybill/common/errors.ts';
import type { KeyResult, KeyStep } from '@waybill/common/internal-call/store-calls.ts';
import type { AskStore } from '../later/store-client.ts';

/** Steps that wait for their turn, and how long: a request waits no longer for its claim. */
const MAX_QUEUED = 10_000;
const MAX_WAIT_MS = 1_000;
/** How long what is large waits for its turn to be read, which takes some 20 ms of both ends. */
const MAX_LARGE_WAIT_MS = 5_000;
/** About what a step takes besides its value. */
const STEP_BYTES = 200;

/** `failure`: it was sent, and may be done or not. */
export type TakenStep = KeyResult & { failure?: AppError };

/** Has a store take a step. It throws `not-accepted` for one that was not sent. */
export type TakeStep = (step: KeyStep) => Promise<TakenStep>;

/** Creates what takes a step, and those that come meanwhile together with it. */
export function createTakeStep(
  askStore: AskStore,
  { maxItems = HTTP_MAX_EVENTS, maxWaitMs = MAX_WAIT_MS } = {},
): TakeStep {
  const batcher = createBatcher<KeyStep, TakenStep>({
    maxItems,
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: () => MAX_BATCHES_IN_FLIGHT,
    maxPartialInFlight: () => MAX_PARTIAL_BATCHES_IN_FLIGHT,
    maxQueued: MAX_QUEUED,
    maxWaitMs,
    async send(steps) {
      try {
        return (await askStore<{ results: KeyResult[] }>({ call: 'keys', steps })).results;
      } catch (error) {
        return steps.map(() => ({ failure: toAppError(error) }));
      }
    },
  });
  return async (step) => {
    const taken = (await batcher.add(step, bytesOf(step))) ?? { isFailed: true };
    return taken.isFailed ? { failure: failureOf(taken) } : taken;
  };
}

function failureOf({ code }: KeyResult): AppError {
  return new AppError(code ?? 'not-accepted', 'the store has not taken it');
}

/** @throws AppError why a step may not be done. */
export function assertTaken(taken: TakenStep): KeyResult {
  if (taken.failure) throw taken.failure;
  return taken;
}

/** Creates what reads a value that a store tells to nobody but a call of its own; few are under way at once, as each may be a MiB. */
export function createReadLarge(askStore: AskStore) {
  const take = createTakeStep(askStore, { maxItems: 1, maxWaitMs: MAX_LARGE_WAIT_MS });
  return (key: string): Promise<TakenStep> => take({ step: 'read', key });
}

/** About what a step takes. */
export function bytesOf(step: KeyStep): number {
  return STEP_BYTES + ('value' in step ? step.value.length : 0);
}
