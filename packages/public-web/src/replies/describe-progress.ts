import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { Progress } from '@waybill/common/internal-call/progress.ts';

/** What a client that has waited in vain is told of the last progress of its event; '' when there was none that says something. */
export function describeProgress(noted: CloudEvent | undefined): string {
  const { attempt, maxAttempts, code } = (noted?.data ?? {}) as Partial<Progress>;
  if (!Number.isInteger(attempt) || !Number.isInteger(maxAttempts) || typeof code !== 'string') return '';
  const service = noted?.handledby?.split('/', 1)[0] ?? 'its listener';
  return `; attempt ${attempt} of ${maxAttempts} by ${service} failed with ${code}`;
}
