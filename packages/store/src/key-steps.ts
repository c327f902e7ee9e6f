/** Steps with idempotency keys that come together from one public-web: an HTTP call for each would cost more than they do. */
import { AppError, toAppError } from '@waybill/common/errors.ts';
import {
  type KeyResult,
  type KeyStep,
  TOLD_TOGETHER_MAX_BYTES,
} from '@waybill/common/internal-call/store-calls.ts';
import type { FoundValue, KeptValues } from './kept-values.ts';

/**
 * Takes each step by itself, all at once; resolves with what becomes of each, in their order. Of several it tells no large value.
 *
 * @throws AppError what failed, when all have for the same reason.
 */
export type TakeKeySteps = (steps: readonly KeyStep[]) => Promise<KeyResult[]>;

/** Creates {@link TakeKeySteps}. */
export function createTakeKeySteps({ values }: { values: KeptValues }): TakeKeySteps {
  return async (steps) => {
    const maxBytes = steps.length > 1 ? TOLD_TOGETHER_MAX_BYTES : undefined;
    const taken = await Promise.allSettled(steps.map((step) => take(step, values, maxBytes)));
    const failures = taken.filter((each) => each.status === 'rejected').map(({ reason }) => reason);
    const codes = new Set(failures.map((reason) => toAppError(reason).code));
    if (failures.length === taken.length && codes.size === 1) throw failures[0];
    return taken.map((each) => (each.status === 'fulfilled' ? each.value : failureOf(each.reason)));
  };
}

async function take(step: KeyStep, values: KeptValues, maxBytes: number | undefined): Promise<KeyResult> {
  // Another one than any of a listener.
  const key = `key ${step.key}`;
  switch (step.step) {
    case 'claim':
      return toResult(await values.claim({ ...step, key, owner: ownerOf(step) }, maxBytes));
    case 'read':
      return toResult(await values.read(key, maxBytes));
    case 'amend':
      await values.amend({ ...step, key });
      return {};
    case 'keep':
      await values.keep({ ...step, key, owner: ownerOf(step) });
      return {};
    case 'release':
      await values.release({ ...step, key });
      return {};
    default:
      throw new AppError('invalid-request', 'a store knows no such step');
  }
}

function toResult(value: FoundValue): KeyResult {
  return value === null ? { isLarge: true } : { value };
}

/** A public-web of before says nothing of whose key it is. */
function ownerOf({ owner = '' }: { owner?: string }): string {
  return `key ${owner}`;
}

function failureOf(reason: unknown): KeyResult {
  const { code } = toAppError(reason);
  return code === 'too-large' || code === 'keys-full' ? { isFailed: true, code } : { isFailed: true };
}
