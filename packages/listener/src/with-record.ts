import { eventDuration, events } from '@waybill/common/telemetry/metrics.ts';
import type { Step } from './step.ts';

/** Counts and logs how an event fared, and how long that took. */
export function withRecord(next: Step, { label }: { label: string }): Step {
  return async (event, context) => {
    const startedMs = performance.now();
    const outcome = await next(event, context);
    context.log.debug({ outcome: outcome.name }, 'event handled');
    const attributes = { tier: 'listener', type: label, outcome: outcome.name };
    events.add(1, attributes);
    eventDuration.record((performance.now() - startedMs) / 1000, attributes);
    return outcome;
  };
}
